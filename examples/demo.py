"""The main job, end to end: train real networks, send them to a service over HTTP, get them back ternary, check them.

    python -m examples.demo [NAME:SPARSITY …]          default: mlp:0.7 cnn:0.9

Starts the embedded service on a free port with its data in a temporary folder, and stops it at the end.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from api_schemas import Job, Metric, Result
from examples.digits import write_example
from sterna.cli.progress import JobProgress
from sterna.client import Client

START_TIMEOUT_S = 60.0
JOB_TIMEOUT_S = 600.0
STOP_TIMEOUT_S = 60.0
FOLDER = Path("examples/out")


@dataclass(frozen=True)
class Outcome:
    """One network that went through: what the service reports, and what a fresh process measured."""

    name: str
    result: Result
    measured: float


def main(arguments: list[str]) -> None:
    """Run the demonstration."""
    wanted = [(name, float(sparsity)) for name, sparsity in (item.split(":") for item in arguments)]
    wanted = wanted or [("mlp", 0.7), ("cnn", 0.9)]
    console = Console()
    console.rule("1. Train real networks and export them with torch.export.save")
    files = {name: write_example(name, FOLDER) for name, _ in wanted}
    with embedded_service(console) as url, Client(url) as client:
        outcomes = [compress(client, console, name, files[name], sparsity) for name, sparsity in wanted]
    console.rule("4. What came back")
    console.print(table(outcomes))
    for outcome in outcomes:
        if not outcome.result.target_met or abs(outcome.measured - metric_of(outcome).ternary) > 1e-6:
            sys.exit(f"{outcome.name}: the fresh process does not confirm the service's report")


@contextmanager
def embedded_service(console: Console) -> Iterator[str]:
    """`sterna serve` on a free port; its address."""
    console.rule("2. Start the service: FastAPI, Celery, SQLite, local files")
    with tempfile.TemporaryDirectory(prefix="sterna-demo-") as data_dir:
        command = [sys.executable, "-m", "sterna.cli", "serve", "--port", "0", "--data-dir", data_dir]
        log = Path(data_dir) / "serve.log"
        with log.open("w") as stream:
            process = subprocess.Popen(
                command, stdout=stream, stderr=subprocess.STDOUT, env=os.environ | {"NO_COLOR": "1"}
            )
        try:
            url = wait_for_address(process, log)
            console.print(f"listening on {url}")
            yield url
        finally:
            stop(process)
            console.print("service stopped")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the service to end; kill it where it does not. Its children then end by themselves."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for_address(process: subprocess.Popen[bytes], log: Path) -> str:
    """The address that `sterna serve` prints when it is ready."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"listening on (http://\S+)", log.read_text()):
            return found[1]
        time.sleep(0.1)
    sys.exit(f"the service did not start:\n{log.read_text()}")


def compress(client: Client, console: Console, name: str, files: tuple[Path, Path], sparsity: float) -> Outcome:
    """Submit, watch, download, verify, and evaluate in a process that knows nothing of the network."""
    model, data = files
    console.rule(f"3. {name}: submit with a target of {sparsity:.0%} zeros")
    job = client.submit(model, data, {"target_sparsity": sparsity})
    console.print(f"job {job.id}")
    job = watch(client, job)
    if job.result is None:
        sys.exit(f"the job ended as {job.state}: {job.error}")
    path = client.download(job.id, "model.sterna", FOLDER / f"{name}.sterna")
    console.print(f"downloaded {path} ({path.stat().st_size:,} bytes), sha-256 verified")
    command = [sys.executable, str(Path(__file__).with_name("evaluate.py")), str(path), str(data)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    console.print(f"accuracy of the file in a fresh process, without the network's class: {float(printed):.4f}")
    return Outcome(name, job.result, float(printed))


def watch(client: Client, job: Job) -> Job:
    """Show the progress until the job has ended: a bar at a terminal, lines elsewhere."""
    with JobProgress() as progress:
        return client.wait(job.id, timeout_s=JOB_TIMEOUT_S, on_update=progress.on_job)


def table(outcomes: list[Outcome]) -> Table:
    """What a person decides by: a column a network."""
    view = Table("", *(outcome.name for outcome in outcomes))
    rows: dict[str, Callable[[Outcome], str]] = {
        "target sparsity": lambda one: f"{one.result.target_sparsity:.4f}",
        "sparsity, counted in the file": lambda one: f"{one.result.sparsity:.4f}",
        "α": lambda one: f"{one.result.alpha:.3f}",
        "held-out accuracy before": lambda one: f"{metric_of(one).baseline:.4f}",
        "held-out accuracy after, of the file": lambda one: f"{one.measured:.4f}",
        "bits per weight": lambda one: f"{one.result.bits_per_weight:.3f}",
        "entropy at overall sparsity": lambda one: f"{one.result.entropy_bits_per_weight:.3f}",
        "bytes before": lambda one: f"{one.result.model_bytes:,}",
        "bytes after, everything included": lambda one: f"{one.result.artifact_bytes:,}",
        "ratio": lambda one: f"{one.result.ratio:.1f}×",
    }
    for heading, figure in rows.items():
        view.add_row(heading, *(figure(outcome) for outcome in outcomes))
    return view


def metric_of(outcome: Outcome) -> Metric:
    """The accuracy before and after that the service reports."""
    assert outcome.result.metric is not None
    return outcome.result.metric


if __name__ == "__main__":
    main(sys.argv[1:])
