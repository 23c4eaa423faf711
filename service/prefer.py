"""The `Prefer: wait=N` header (RFC 7240), and waiting without holding a thread."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

from fastapi import Request

from service.job_reader import Told

_WAIT = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])', re.IGNORECASE)
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0


def preferred_wait_s(request: Request, *, most_s: float) -> float | None:
    """How long the client would like to wait, at most `most_s`; None where it says nothing that can be understood.

    A preference may be ignored, so a malformed one is.
    """
    match = _WAIT.search(", ".join(request.headers.getlist("prefer")))
    return None if match is None else min(float(match[1]), most_s)


def applied(wait_s: float | None) -> dict[str, str]:
    """The header that says which preference was honoured."""
    return {} if wait_s is None else {"Preference-Applied": f"wait={wait_s:g}"}


async def wait_until(
    enough: Callable[[Told], bool], read: Callable[[], Awaitable[Told]], *, wait_s: float, request: Request
) -> Told:
    """Reads a job again and again, ever more rarely, until it is `enough`, the time is up or the client is gone.

    Between two looks nothing is held but the connection.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + wait_s
    pause_s = _FIRST_PAUSE_S
    job = await read()
    while not enough(job) and (left_s := deadline - clock()) > 0 and not await request.is_disconnected():
        await asyncio.sleep(min(pause_s, left_s))
        pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
        job = await read()
    return job
