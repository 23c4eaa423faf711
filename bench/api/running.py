"""A service of one's own: a real process on a free port, its data in a folder, with a key or without."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from storage import Ledger, Settings

_PORT = re.compile(r"http://127\.0\.0\.1:(\d+)")


@dataclass(frozen=True, slots=True)
class Running:
    """A service that runs.

    Attributes:
        key: of the scope `admin`; empty where none is needed.
    """

    url: str
    key: str
    settings: Settings
    process: subprocess.Popen[str]

    @property
    def headers(self) -> dict[str, str]:
        """What a request needs."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def memory_bytes(self, what: str = "VmHWM") -> int:
        """Memory of the process: the most that it had (`VmHWM`), or what it has (`VmRSS`)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"{what}:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024


@contextmanager
def running_service(folder: Path, *, with_key: bool = False, **environment: str) -> Iterator[Running]:
    """Starts a service and ends it with the block.

    Args:
        folder: for its data and its log.
        with_key: make a key first, so that every call needs it.
        environment: settings, such as `STERNA_MAX_WAIT_S="1"`.
    """
    settings = Settings(data_dir=folder / "data").prepared()
    key = ""
    if with_key:
        ledger = Ledger.open(settings.database_url)
        _, key = ledger.create_key(tenant="bench", name="bench", scope="admin")
        ledger.close()
    log = folder / "service.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "service", "--port", "0", "--data-dir", str(settings.data_dir)],
            env=os.environ | environment,
            stderr=stream,
            text=True,
        )
        try:
            yield Running(_address(process, log), key, settings, process)
        finally:
            process.terminate()
            process.wait(timeout=30)


def _address(process: subprocess.Popen[str], log: Path) -> str:
    while process.poll() is None:
        found = _PORT.search(log.read_text())
        if found is not None:
            return f"http://127.0.0.1:{found[1]}"
    raise SystemExit(f"the service ended: {log.read_text()[-2000:]}")
