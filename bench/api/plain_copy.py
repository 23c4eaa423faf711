"""The yardstick for bytes: a file over loopback into a file, with its sha-256, and nothing else.

`python -m bench.api.plain_copy FILE` takes one connection on a free port whose number it prints, and writes what comes.
"""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import time
from pathlib import Path

_BLOCK = 2**20


def receive(path: Path) -> None:
    """Takes one connection and writes what it sends."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        sys.stdout.write(f"{server.getsockname()[1]}\n")
        sys.stdout.flush()
        connection, _ = server.accept()
        digest = hashlib.sha256()
        with path.open("wb") as file, connection:
            while block := connection.recv(_BLOCK):
                digest.update(block)
                file.write(block)
        sys.stdout.write(f"{digest.hexdigest()}\n")


def copy_seconds(source: Path, target: Path) -> float:
    """How long a plain copy takes, both ends' processes started before."""
    command = [sys.executable, "-m", "bench.api.plain_copy", str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        began = time.perf_counter()
        with socket.create_connection(("127.0.0.1", port)) as connection, source.open("rb") as file:
            connection.sendfile(file)
        digest = process.stdout.readline().strip()
        seconds = time.perf_counter() - began
    assert len(digest) == 64
    return seconds


if __name__ == "__main__":
    receive(Path(sys.argv[1]))
