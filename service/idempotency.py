"""The `Idempotency-Key` header: a request that is sent again is answered as it was the first time.

IETF draft `idempotency-key-header`-07. The same key with the same payload replays the answer; with another payload it
is refused with 422, and with 409 while the first is being handled. A request that is refused does not use its key up.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import Request, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from service.backends import Backends
from service.callers import Caller
from service.problems import HttpRefusal
from storage.once import Repeatable, Replay, Turn

HOLD_S = 15.0
"""A key whose request died with its service is free again after this time; a client is patient for longer."""
RENEW_S = 5.0
"""How often a request that is still being handled says so."""
_log = logging.getLogger(__name__)
KEY_PATTERN = r'^("[A-Za-z0-9._:/+=@~-]{1,255}"|[A-Za-z0-9._:/+=@~-]{1,255})$'
"""Bare, as most clients send it, or the quoted string of the draft."""


@dataclass(frozen=True, slots=True)
class Handling:
    """How a request is to be handled.

    Attributes:
        turn: goes to the ledger with what the request makes; None where the request has no key.
        replay: the answer that was given before: nothing is to be done.
    """

    turn: Turn | None = None
    replay: Replay | None = None


def fingerprint(*parts: str) -> str:
    """One digest of several texts; equal payloads have equal ones."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()


@asynccontextmanager
async def handled_once(request: Request, backends: Backends, caller: Caller, payload: str) -> AsyncIterator[Handling]:
    """Handles a request at most once, if it carries a key.

    Args:
        request: what came.
        backends: where the keys are kept.
        caller: whose key it is.
        payload: `fingerprint` of what the request says.

    Raises:
        HttpRefusal: the key is no key.
        IdempotencyKeyReused: it came with another payload.
        RequestInProgress: the same request is being handled.
    """
    key = _key_of(request)
    if key is None:
        yield Handling()
        return
    repeatable = Repeatable(caller.tenant, f"{request.method} {request.url.path}", key, payload)
    taken = await run_in_threadpool(backends.ledger.take_turn, repeatable, hold_s=HOLD_S)
    if isinstance(taken, Replay):
        yield Handling(replay=taken)
        return
    keeping = asyncio.create_task(_keep(backends, taken))
    try:
        yield Handling(turn=taken)
    except BaseException:
        # What was stored under the key is not taken away by this: only an unanswered turn can be given up.
        await run_in_threadpool(backends.ledger.give_up_turn, taken)
        raise
    finally:
        keeping.cancel()


async def _keep(backends: Backends, turn: Turn) -> None:
    """Hold a key for as long as its request is being handled, which a large model may take minutes for."""
    while True:
        await asyncio.sleep(RENEW_S)
        try:
            await run_in_threadpool(backends.ledger.keep_turn, turn, hold_s=HOLD_S)
        except SQLAlchemyError as error:
            _log.warning("an Idempotency-Key could not be held: %s", error)


def replayed(replay: Replay, *, status: int, retry_after: str) -> Response:
    """The answer of the first time, marked as such; `retry_after` is as it was there."""
    headers = {"Location": replay.location, "Retry-After": retry_after, "Idempotency-Replayed": "true"}
    return Response(replay.body, status, headers=headers, media_type="application/json")


def _key_of(request: Request) -> str | None:
    found = request.headers.getlist("idempotency-key")
    if not found:
        return None
    if len(found) > 1 or re.fullmatch(KEY_PATTERN, found[0]) is None:
        raise HttpRefusal(
            400,
            "an Idempotency-Key is one header of 1 to 255 letters, digits and any of ._:/+=@~-",
            hint="a random UUID does well",
        )
    return found[0].strip('"')
