"""The embedded queue's transport: kombu's `filesystem://`, made safe against messages that are still being written.

kombu's writer opens a message file under its final name and fills it a moment later; its reader takes no lock. A worker
that looks in that moment reads half a message, and the JSON error would end the worker. Here it is a lost message
instead, which does no harm: the ledger sends what was not claimed once more.
"""

from __future__ import annotations

from queue import Empty
from typing import Any, Final

from kombu.transport import filesystem

SCHEME: Final = "filesystem://"
TRANSPORT: Final = "workers.broker:Transport"


class Channel(filesystem.Channel):
    """Reads a half-written message as no message."""

    def _get(self, queue: str, timeout: float | None = None) -> Any:  # noqa: ANN401, ARG002  kombu's signature
        try:
            return super()._get(queue)  # type: ignore[no-untyped-call]  # kombu has no types here
        except ValueError:
            raise Empty from None


class Transport(filesystem.Transport):
    """`filesystem://` with the channel above."""

    Channel = Channel
