"""Events as they happen: one connection of server-sent events, read until it ends or breaks.

Whoever reads goes on with `after` set to the last event's number (`Last-Event-ID`), on any process of the service.
Where no stream can be had (an older service, a proxy that keeps answers until they are complete), they poll.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from typing import Final

import httpx
from pydantic import ValidationError

from api_schemas import Event, read_answer
from sterna.client.connection import Away, Connection
from sterna.errors import SternaError

SILENCE_S: Final = 25.0
"""The service speaks every 15 seconds, if only in a comment; a connection that is silent for so long is dead."""


POLL_S: Final = 0.5
"""The least time between two looks or two connections, whatever makes them end."""


class EventStream:
    """The events of one job.

    Args:
        connection: to the service.
        path: of the events.

    Attributes:
        available: whether it is worth trying; once it is not, poll.
    """

    def __init__(self, connection: Connection, path: str) -> None:
        self._connection = connection
        self._path = path
        self.available = True

    def read(self, after: int) -> Generator[Event | None, None, None]:
        """The events after that number; None for each sign of life between them. Ends when the connection does.

        Why it ended is not told: whoever reads asks for the job or for the list next, with patience.
        """
        began = time.monotonic()
        try:
            yield from self._connected(after)
        except (httpx.TransportError, Away):
            pass
        except (ValidationError, SternaError):
            self.available = False  # what is asked for next says what is wrong
        time.sleep(max(0.0, POLL_S - (time.monotonic() - began)))

    def _connected(self, after: int) -> Iterator[Event | None]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after), "Cache-Control": "no-store"}
        heard = False
        try:
            with self._connection.stream(self._path, headers, silence_s=SILENCE_S) as response:
                if response.status_code == httpx.codes.NO_CONTENT:
                    return
                self.available = response.headers.get("Content-Type", "").startswith("text/event-stream")
                for data in _messages(response.iter_lines()) if self.available else ():
                    heard = True
                    yield read_answer(Event, data) if data else None
        except httpx.ReadTimeout:
            self.available = heard  # a proxy may be keeping it all until it is complete


def _messages(lines: Iterable[str]) -> Iterator[str]:
    """The data of each message; empty for comments and for what is no event of the job, such as the `end`."""
    kind, data = "", ""
    for line in lines:
        field, _, value = line.partition(":")
        if not line:
            yield data if data and kind != "end" else ""
            kind, data = "", ""
        elif not field:
            yield ""
        elif field == "event":
            kind = value.removeprefix(" ")
        elif field == "data":
            data += value.removeprefix(" ")
