"""Events of a job as they happen: `text/event-stream`, resumable by `Last-Event-ID`.

Events are rows, so a stream can begin anywhere, break off anywhere and go on with any process of the service. Between
two looks at the ledger nothing is held but the connection.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable

from fastapi import Request
from fastapi.sse import EventSourceResponse, format_sse_event

from api_schemas.events import EventList
from sterna.errors import NotFound

MEDIA_TYPE = "text/event-stream"
HEARTBEAT_S = 15.0
"""A comment after so long a silence: proxies close connections that look dead."""
RECONNECT_MS = 2000
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 1.0
_ACCEPTED = re.compile(r"text/event-stream\s*(;|,|$)", re.IGNORECASE)

Read = Callable[[int], Awaitable[EventList]]


def wants_stream(request: Request) -> bool:
    """Whether the client asks for a stream rather than a list."""
    return _ACCEPTED.search(request.headers.get("accept", "")) is not None


def last_event_id(request: Request) -> int | None:
    """The number of the last event that the client has; None where it says nothing that can be one of ours."""
    text = request.headers.get("last-event-id", "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else None


def event_stream(read: Read, *, after: int, request: Request) -> EventSourceResponse:
    """Streams events until the job has ended or the client is gone.

    Args:
        read: the events after a number.
        after: the number of the last event that the client has.
        request: whose connection it is.
    """
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return EventSourceResponse(_stream(read, after, request), headers=headers)


async def _stream(read: Read, after: int, request: Request) -> AsyncIterator[bytes]:
    clock = asyncio.get_running_loop().time
    spoke, pause_s = clock(), _FIRST_PAUSE_S
    yield format_sse_event(retry=RECONNECT_MS)
    while not await request.is_disconnected():
        try:
            page = await read(after)
        except NotFound:
            return  # deleted meanwhile; whoever comes back is told so
        for event in page.events:
            data = event.model_dump_json(by_alias=True)
            yield format_sse_event(data_str=data, event=event.body.kind, id=str(event.id))
            after, spoke, pause_s = event.id, clock(), _FIRST_PAUSE_S
        if page.final:
            yield format_sse_event(data_str="{}", event="end")
            return
        if page.events:
            continue
        if clock() - spoke > HEARTBEAT_S:
            yield format_sse_event(comment="still here")
            spoke = clock()
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
