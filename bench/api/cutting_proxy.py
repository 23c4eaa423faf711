"""A connection that breaks: passes bytes on to a service and cuts its first connections after so many bytes each."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Self

_BLOCK = 2**16


class CuttingProxy:
    """Listens on a free port for the length of a block.

    Attributes:
        cuts: how many connections it has cut.
    """

    def __init__(self, port: int, *, cuts: int, after_bytes: int) -> None:
        self.cuts = 0
        self._target = ("127.0.0.1", port)
        self._left = cuts
        self._after_bytes = after_bytes
        self._server = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            service = socket.create_connection(self._target)
            for source, target, way in ((client, service, "out"), (service, client, "back")):
                threading.Thread(target=self._pass_on, args=(source, target, way), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, way: str) -> None:
        passed = 0
        try:
            while block := source.recv(_BLOCK):
                passed += len(block)
                if way == "out" and passed > self._after_bytes and self._left > 0:
                    self._left -= 1
                    self.cuts += 1
                    break
                target.sendall(block)
        except OSError:
            pass  # the other direction has closed both
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
            finally:
                end.close()
