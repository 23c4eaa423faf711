"""`make bench-api`: what the service costs beside the plain thing, on this machine; writes docs/bench-api.md.

| row | is beside |
|---|---|
| status polls, 200 clients, a job each | an empty FastAPI route in the same process set-up |
| upload and download of a file by the client | a copy over loopback into a file, with its sha-256 |
| 2 GB through a connection that is cut ten times | its digest, and the growth of the service's memory |
| submission until a worker has the job | |
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import median

import httpx

from api_schemas import JobMessage, JobSpec
from bench.api.cutting_proxy import CuttingProxy
from bench.api.furnished import furnish, result_with
from bench.api.plain_copy import copy_seconds
from bench.api.running import Running, running_service
from sterna.client import Client
from storage import Ledger

MIB = 2**20
PAGE = Path(__file__).parents[2] / "docs" / "bench-api.md"
Rows = list[tuple[str, str, str]]


def main() -> None:
    """Measures everything and writes the page."""
    parser = argparse.ArgumentParser(description="the service beside the plain thing")
    parser.add_argument("--file-mib", type=int, default=512)
    parser.add_argument("--broken-mib", type=int, default=2048)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    rows: Rows = []
    for measure in (
        lambda folder: polls(folder, seconds=options.seconds),
        lambda folder: transfers(folder, size_bytes=options.file_mib * MIB),
        lambda folder: broken(folder, size_bytes=options.broken_mib * MIB),
        latency,
    ):
        with tempfile.TemporaryDirectory() as name:
            found = measure(Path(name))
        rows += found
        sys.stdout.write("".join(f"{' · '.join(row)}\n" for row in found))
    options.page.write_text(page(rows))


def polls(folder: Path, *, seconds: float) -> Rows:
    """Status polls beside an empty route, three times in turn; the medians."""
    with running_service(folder) as service, _empty_route() as empty:
        ids = furnish(service.settings, folder, tenant="local")
        address = f"{service.url}/v1/jobs/{ids['job_id']}"
        pairs = [(_load(empty, seconds), _load(address, seconds)) for _ in range(3)]
    plain, polled = (sorted(pair[i]["requests_per_s"] for pair in pairs)[1] for i in (0, 1))
    p99 = median(pair[1]["p99_ms"] for pair in pairs)
    return [
        ("empty route, 200 clients", f"{plain:.0f} requests/s", ""),
        ("status polls, 200 clients", f"{polled:.0f} requests/s, p99 {p99:.0f} ms", f"{polled / plain:.2f}× (bar 0.5)"),
    ]


def transfers(folder: Path, *, size_bytes: int) -> Rows:
    """A file to the service and back by the client, beside a plain copy; medians of three."""
    ups, downs, copies = [], [], []
    with running_service(folder) as service, Client(service.url) as client:
        for n in range(3):
            source = _random_file(folder / f"file-{n}", size_bytes)
            copies.append(copy_seconds(source, folder / "copy"))
            began = time.perf_counter()
            upload = client.upload(source)
            ups.append(time.perf_counter() - began)
            job_id = _finished_with(service, upload.id)
            began = time.perf_counter()
            client.download(job_id, "file", folder / "back")
            downs.append(time.perf_counter() - began)
            source.unlink()
    plain, up, down = (size_bytes / median(times) / 1e6 for times in (copies, ups, downs))
    return [
        (f"plain copy with sha-256, {size_bytes // MIB} MiB", f"{plain:.0f} MB/s", ""),
        ("upload", f"{up:.0f} MB/s", f"{up / plain:.2f}× (bar 0.5)"),
        ("download, digest checked", f"{down:.0f} MB/s", f"{down / plain:.2f}× (bar 0.5)"),
    ]


def broken(folder: Path, *, size_bytes: int) -> Rows:
    """A large file through a connection that is cut ten times."""
    source = _random_file(folder / "large", size_bytes)
    with running_service(folder) as service:
        with Client(service.url) as client:
            list(client.jobs())
        before = service.memory_bytes()
        port = int(service.url.rpartition(":")[2])
        with CuttingProxy(port, cuts=10, after_bytes=size_bytes // 12) as proxy, Client(proxy.url) as client:
            upload = client.upload(source)
        grown = service.memory_bytes() - before
    arrived = "arrived whole" if upload.complete else "DID NOT ARRIVE"
    what = f"{size_bytes // MIB} MiB, connection cut {proxy.cuts} times"
    return [(what, f"{arrived}, memory grew by {grown / 1e6:.0f} MB", "(bar 64 MB)")]


def latency(folder: Path) -> Rows:
    """From the answer to a submission until a worker runs the job: one worker, eight slots, filesystem broker."""
    environment = os.environ | {"STERNA_DATA_DIR": str(folder / "data"), "STERNA_RUNNERS": "8"}
    environment["STERNA_WARM_RUNNERS"] = "0"  # none is waited for: a job counts as begun when it is claimed
    command = [sys.executable, "-m", "workers"]
    with running_service(folder) as service, (folder / "worker.log").open("w") as log:
        worker = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            while not httpx.get(f"{service.url}/readyz").is_success:
                time.sleep(0.2)
            waits = [_wait_ms(service, folder) for _ in range(30)]
        finally:
            worker.terminate()
            worker.wait(timeout=60)
    waits.sort()
    p50, p99 = waits[len(waits) // 2], waits[-1]
    return [("submission until it runs, 30 jobs, filesystem broker", f"p50 {p50:.0f} ms, p99 {p99:.0f} ms", "")]


def _wait_ms(service: Running, folder: Path) -> float:
    form = {"model": _tiny_model(folder).read_bytes(), "spec": (None, '{"target_sparsity": 0.5}')}
    job = httpx.post(f"{service.url}/v1/jobs", files=form, timeout=60).json()
    address = f"{service.url}/v1/jobs/{job['id']}"
    while (job := httpx.get(address, headers={"Prefer": "wait=20"}, timeout=60).json())["started_at"] is None:
        continue
    httpx.post(f"{address}/cancel")
    while httpx.get(address, headers={"Prefer": "wait=20"}, timeout=60).json()["finished_at"] is None:
        continue
    began, created = (_seconds(job[name]) for name in ("started_at", "created_at"))
    return 1e3 * (began - created)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _tiny_model(folder: Path) -> Path:
    path = folder / "tiny.pt2"
    if not path.exists():
        import torch  # noqa: PLC0415  only this one needs it

        network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
        batch = {0: torch.export.Dim("batch")}
        torch.export.save(torch.export.export(network, (torch.zeros(3, 4),), dynamic_shapes=(batch,)), path)
    return path


@contextmanager
def _empty_route() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "bench.api.empty", str(port)])
    url = f"http://127.0.0.1:{port}/empty"
    try:
        for _ in range(300):
            try:
                httpx.get(url)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


def _load(url: str, seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.api.load", url, "200", str(seconds)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def _random_file(path: Path, size_bytes: int) -> Path:
    with path.open("wb") as file:
        for _ in range(size_bytes // MIB):
            file.write(os.urandom(MIB))
    return path


def _finished_with(service: Running, upload_id: str) -> str:
    """A job whose artifact is an upload's content: what a worker would have stored."""
    ledger = Ledger.open(service.settings.database_url)
    try:
        upload = ledger.upload(upload_id)
        job = ledger.submit(JobSpec(model=upload_id, target_sparsity=0.5))
        lease = ledger.claim(JobMessage(job_id=job.id, attempt=1), worker_id="bench", lease_s=60)
        assert lease is not None
        assert ledger.succeed(lease, result_with("file", upload.sha256, upload.bytes))
    finally:
        ledger.close()
    return job.id


def page(rows: Rows) -> str:
    """The page, with the machine that it was measured on."""
    lines = [f"| {what} | {found} | {ratio} |" for what, found, ratio in rows]
    python = platform.python_version()
    head = (
        "# The service beside the plain thing\n\n"
        f"Made by `make bench-api` on {os.cpu_count()} cores ({platform.machine()}), Python {python}; "
        f"client and service share the cores, and the machine had a load of {os.getloadavg()[1]:.1f}.\n\n"
        "| what | measured | ratio |\n|---|---|---|\n"
    )
    return head + "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
