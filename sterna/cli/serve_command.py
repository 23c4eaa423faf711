"""`sterna serve`: service and worker on this machine, started and stopped together.

Both run as children in sessions of their own: Ctrl-C reaches this process alone, which then asks both to end in order.
They are tethered to it, so that they end even when it is killed. What they write goes to `logs/` in the data folder,
behind what earlier runs wrote; a log that grows too long becomes `….log.1` and begins anew.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import httpx
import typer

from sterna.errors import InvalidSpec, ServiceUnavailable, SettingUnusable, SetupError
from sterna.hardening import hide_process

START_S: Final = 300.0
"""How long both may take to start: a busy machine with cold disks needs minutes. One that ends is noticed at once."""
STOP_S: Final = 20.0
LOG_BYTES: Final = 16 * 2**20
_TICK_S: Final = 0.1
_TAIL_BYTES: Final = 4000
_ROOM_BYTES: Final = 2**20  # what an empty database and its log take
_NEEDED: Final = ("fastapi", "uvicorn", "celery", "sqlalchemy", "obstore", "torch")


def serve_command(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="0 takes a free one.", min=0, max=65535)] = 8000,
    data_dir: Annotated[
        Path,
        typer.Option("--data-dir", envvar="STERNA_DATA_DIR", help="Where jobs and files are kept.", file_okay=False),
    ] = Path("data"),
) -> None:
    """Run the service and a worker on this machine until Ctrl-C. No other server is needed."""
    _check_installed()
    port = _chosen_port(host, port)
    hide_process()
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    data_dir = data_dir.resolve()
    logs = _writable(data_dir) / "logs"
    logs.mkdir(exist_ok=True)
    environment = os.environ | {"STERNA_DATA_DIR": str(data_dir)}
    service = ("service", "--host", host, "--port", str(port))
    worker = ("workers",)
    with _asked_to_stop() as stop, _both(service, worker, logs, environment) as children:
        if _wait_until_ready(url, children, stop):
            typer.echo(f"Sterna is listening on {url}")
            _watch(children, stop)


def _check_installed() -> None:
    """Look for what the extra `worker` brings, without loading any of it: torch is for the runners alone.

    Raises:
        InvalidSpec: something is missing. Jobs would be accepted, and each would fail.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise InvalidSpec(
            f"the service and its worker need {', '.join(missing)}, which is not installed here",
            hint="pip install 'sterna[worker]' brings all that `sterna serve` needs.",
        )


def _writable(data_dir: Path) -> Path:
    """Make the folder, and see whether there is room in it: a child on a full disk could not even log why it ends.

    Raises:
        SettingUnusable: it cannot be written.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data_dir) as probe:
            probe.write(bytes(_ROOM_BYTES))
    except OSError as error:
        raise SettingUnusable(
            f"STERNA_DATA_DIR: {data_dir} cannot be written: {error.strerror}",
            hint="Name a folder on a disk with room that this user may write.",
        ) from error
    return data_dir


@dataclass(frozen=True, slots=True)
class Part:
    """One child and where it writes.

    Attributes:
        log_start: bytes of the log that earlier runs wrote.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    log_start: int

    def check(self) -> None:
        """Raise when it is gone.

        Raises:
            InvalidSpec: it refused what it was asked for, such as an address that others reach without keys.
            SetupError: a setting cannot be used.
            ServiceUnavailable: it ended otherwise; with the end of its log.
        """
        code = self.process.poll()
        if code is None:
            return
        with self.log.open("rb") as log:
            size = self.log.stat().st_size
            log.seek(max(self.log_start if self.log_start <= size else 0, size - _TAIL_BYTES))
            tail = log.read().decode(errors="replace").strip()
        if code == InvalidSpec.exit_code:
            raise InvalidSpec(f"the {self.name} refuses to start:\n{tail}", hint=f"The whole log is {self.log}.")
        if code == SetupError.exit_code:
            raise SetupError(f"the {self.name} does not start:\n{tail}", hint=f"The whole log is {self.log}.")
        raise ServiceUnavailable(f"the {self.name} ended with {code}:\n{tail}", hint=f"The whole log is {self.log}.")


@contextmanager
def _asked_to_stop() -> Iterator[threading.Event]:
    """An event that SIGINT, SIGTERM and the closing of the terminal set; what `nohup` ignores stays ignored."""
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    heeded = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in heeded:
        signal.signal(number, lambda *_: stop.set())
    try:
        yield stop
    finally:
        for number, handler in heeded.items():
            signal.signal(number, handler)


@contextmanager
def _both(
    service: Sequence[str], worker: Sequence[str], logs: Path, environment: Mapping[str, str]
) -> Iterator[tuple[Part, ...]]:
    """Start both children; at the end of the block neither runs."""
    parts: list[Part] = []
    try:
        for name, command in (("service", service), ("worker", worker)):
            parts.append(_started(name, command, logs / f"{name}.log", environment))
        yield tuple(parts)
    finally:
        _stop(parts)


def _started(name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Part:
    # Appended to: the log of a crash is wanted most after the restart. And only what is appended to can be cut.
    with log.open("ab") as stream:
        log_start = stream.tell()
        process = subprocess.Popen(
            (sys.executable, "-m", "sterna.cli.tethered", *command),
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    return Part(name, process, log, log_start)


def _stop(parts: Sequence[Part]) -> None:
    """Ask all to end; kill what has not ended in time."""
    for part in parts:
        part.process.terminate()
    deadline = time.monotonic() + STOP_S
    for part in parts:
        try:
            part.process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            part.process.kill()
            part.process.wait()
        assert part.process.stdin is not None
        part.process.stdin.close()


def _wait_until_ready(url: str, parts: Sequence[Part], stop: threading.Event) -> bool:
    """Wait for `/readyz`, which wants database, storage, broker and a worker.

    Returns:
        False when asked to stop meanwhile.

    Raises:
        ServiceUnavailable: a child ended, or it took too long.
    """
    deadline = time.monotonic() + START_S
    last = "no answer"
    while time.monotonic() < deadline:
        for part in parts:
            part.check()
        try:
            answer = httpx.get(f"{url}/readyz", timeout=5.0, trust_env=False)
        except httpx.TransportError as error:
            last = str(error)
        else:
            if answer.is_success:
                return True
            last = answer.text
        if stop.wait(_TICK_S):
            return False
    raise ServiceUnavailable(f"not ready after {START_S:g} s: {last}", hint=f"The logs are in {parts[0].log.parent}.")


def _watch(parts: Sequence[Part], stop: threading.Event) -> None:
    while not stop.wait(_TICK_S):
        for part in parts:
            part.check()
            _cut(part.log)


def _cut(log: Path) -> None:
    """Begin a log anew, in place, for its writer keeps it open; what is written meanwhile may be lost."""
    if log.stat().st_size > LOG_BYTES:
        shutil.copyfile(log, log.with_name(f"{log.name}.1"))
        os.truncate(log, 0)


def _chosen_port(host: str, port: int) -> int:
    """The port, or a free one for 0; one that is taken is refused before anything starts."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InvalidSpec(
                f"cannot listen on {host}:{port}: {error.strerror}",
                hint="Choose another with --port; 0 takes a free one.",
            ) from None
        return int(probe.getsockname()[1])
