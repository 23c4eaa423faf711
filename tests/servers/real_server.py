"""What the servers share: a process on a free port of this machine, in a folder of its own, tied to the tests."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Self

START_S = 60.0
"""How long a server may take on a machine that is busy with other things."""


_given: set[int] = set()


class ServerFailed(Exception):
    """The server ended or did not answer in time; the message has the end of its log."""


class RealServer(ABC):
    """One server process. Use it as a context: at the end of the block it is gone, with its data.

    Attributes:
        port: where it listens, the same after each start.
        folder: where its data and its log are.
    """

    def __init__(self, name: str, *, user: str | None = None) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"sterna-{name}-"))
        self._name = name
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: subprocess.Popen[bytes] | None = None
        if user is not None:
            shutil.chown(self.folder, user)

    def __enter__(self) -> Self:
        try:
            self.prepare()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """What runs the server in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it serves now; may raise OSError when it does not."""

    def prepare(self) -> None:
        """Whatever has to be done once before the first start."""
        return

    @property
    def log(self) -> Path:
        """What it writes."""
        return self.folder / "log"

    def start(self) -> None:
        """Start it, with the data that are there, and wait until it answers."""
        assert self._process is None, "it runs already"
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C is for the tests, which then end their servers in order.
            self._process = subprocess.Popen(
                [str(part) for part in self.command()],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self._user,
            )
        # Tests that are killed end nothing; the kernel then closes the input of this shell, which does.
        self._lifeline = subprocess.Popen(
            ["/bin/sh", "-c", 'cat > /dev/null; kill -9 "$0"', str(self._process.pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self._wait_until_it_answers()

    def kill(self) -> None:
        """Kill it with signal 9: whatever it had not written is lost."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Stop its main process where it is: connections stay open and nothing answers."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def close(self) -> None:
        """End it, if it runs, and remove its data."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        process, lifeline = self._process, self._lifeline
        self._process = self._lifeline = None
        if lifeline is not None:
            lifeline.kill()  # first: the number of a process that has ended may become another's
            lifeline.communicate()
        process.send_signal(number)
        process.wait(timeout=START_S)

    def _wait_until_it_answers(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise ServerFailed(f"{self._name} ended with {self._process.returncode}:\n{self.log_tail()}")
            try:
                if self.answers():
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise ServerFailed(f"{self._name} does not answer after {START_S:g} s:\n{self.log_tail()}")

    def log_tail(self) -> str:
        """The end of what it wrote."""
        return self.log.read_text(errors="replace")[-4000:]


def free_port() -> int:
    """A port that is free now. It is below those that the kernel gives to connections, so it stays so.

    Of one process no two ask for the same: servers are given several before the first of them listens.
    """
    while True:
        port = 15_000 + int.from_bytes(os.urandom(2)) % 15_000
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
