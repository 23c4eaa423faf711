"""The service and the workers as processes that can be killed, frozen and started again in place."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import httpx
import psutil

from tests.servers.real_server import RealServer

ROOT = Path(__file__).parents[2]


class PythonProcess(RealServer):
    """A module of this repository, run by this interpreter."""

    def __init__(self, name: str, environment: Mapping[str, str]) -> None:
        super().__init__(name)
        own = {"PYTHONPATH": str(ROOT), "STERNA_DATA_DIR": str(self.folder / "data")}
        self._environment = own | dict(environment)

    def command(self) -> Sequence[str | Path]:
        """`env` sets what the process is told; it becomes that process."""
        told = [f"{name}={value}" for name, value in self._environment.items()]
        return ("/usr/bin/env", *told, sys.executable, *self.module())

    def module(self) -> Sequence[str]:
        """What the interpreter is to run."""
        raise NotImplementedError

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended by itself."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._process is not None
        return self._process.pid

    def children(self) -> list[psutil.Process]:
        """All processes that it has started and that live."""
        if self._process is None:
            return []
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid).children(recursive=True)
        return []


class Service(PythonProcess):
    """`python -m service` on a fixed port."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__("service", environment)

    def module(self) -> Sequence[str]:
        """On its port."""
        return ("-m", "service", "--port", str(self.port))

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def answers(self) -> bool:
        """Whether it is alive."""
        try:
            return httpx.get(f"{self.url}/livez", timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False


class Worker(PythonProcess):
    """`python -m tests.chaos.worker`, which is `python -m workers` unless an option says otherwise."""

    def __init__(self, name: str, environment: Mapping[str, str], *options: str) -> None:
        super().__init__(name, environment)
        self.options: tuple[str, ...] = options

    def module(self) -> Sequence[str]:
        """Under a name of its own, for Celery."""
        return ("-m", "tests.chaos.worker", *self.options, "--", "-n", f"{self._name}@%h")

    def answers(self) -> bool:
        """It says that it lives in the ledger; nobody waits for that here."""
        return True

    def kill_all(self) -> int:
        """Kill it with all that it started, as when its host loses power.

        Returns:
            When, in microseconds since 1970. Until the system has cleared away what was killed takes seconds more, in
            which none of it does anything.
        """
        children = self.children()
        if self._process is not None:
            self._process.kill()
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        killed_us = time.time_ns() // 1000
        self.kill()
        psutil.wait_procs(children, timeout=10)
        return killed_us

    def freeze_all(self) -> None:
        """Stop it and all that it started, as when its host sleeps."""
        self.freeze()
        for child in self.children():
            with suppress(psutil.NoSuchProcess):
                child.suspend()

    def thaw_all(self) -> None:
        """Let it go on as if no time had passed."""
        for child in self.children():
            with suppress(psutil.NoSuchProcess):
                child.resume()
        self.thaw()

    def runners(self) -> list[tuple[psutil.Process, str]]:
        """Its runners, each with the name of its folder: `JOB-ATTEMPT`, or `warm-…` of one that waits."""
        found = []
        for child in self.children():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):
                found.append((child, Path(f"/proc/{child.pid}/cwd").readlink().name))
        return found
