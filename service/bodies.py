"""Reading request bodies: small ones into memory, large ones straight to a file, none beyond its cap."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool

from api_schemas.problems import FieldProblem
from service.problems import FIELDS_HINT, HttpRefusal, invalid_fields

# Writing happens in a thread, and on a busy machine a change of thread is dear: large pieces need few.
_PIECE_BYTES = 4 * 2**20
_BUFFER_BYTES = 2**20

_SILENCE_S = 60.0
"""How long a sender may say nothing in the middle of a body."""

M = TypeVar("M", bound=BaseModel)


async def read_json(request: Request, model: type[M], *, most_bytes: int) -> M:
    """A JSON body as a model of the wire contract."""
    media_type = media_type_of(request)
    if media_type != "application/json":
        raise HttpRefusal(
            415,
            f"the body is {media_type or 'of no declared type'}, this call takes application/json",
            hint="send the header Content-Type: application/json",
        )
    return parse_json(model, await read_body(request, most_bytes=most_bytes, hint="send less in one request"))


def media_type_of(request: Request) -> str:
    """The media type of the body without its parameters; empty where it is not declared."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def refuse_if_announced_larger(request: Request, most_bytes: int, *, hint: str) -> None:
    """Refuses by `Content-Length`, before a byte is read; where the header is absent the body is counted later."""
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > most_bytes:
        raise too_large(most_bytes, hint=hint)


def too_large(most_bytes: int, *, hint: str) -> HttpRefusal:
    """The refusal of a body beyond its cap."""
    return HttpRefusal(413, f"the body is larger than the {most_bytes} bytes that are allowed here", hint=hint)


async def read_body(request: Request, *, most_bytes: int, hint: str) -> bytes:
    """A small body as bytes."""
    refuse_if_announced_larger(request, most_bytes, hint=hint)
    body = bytearray()
    async for chunk in _chunks(request):
        body += chunk
        if len(body) > most_bytes:
            raise too_large(most_bytes, hint=hint)
    return bytes(body)


async def pieces(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces of about 4 MiB, whatever the sizes in which it arrives."""
    piece = bytearray()
    async for chunk in _chunks(request):
        piece += chunk
        if len(piece) >= _PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


async def save_body(request: Request, write: Callable[[memoryview], object], *, most_bytes: int, hint: str) -> int:
    """Hands a body of any size on, piece by piece; returns its bytes.

    Args:
        request: whose body.
        write: called in a thread with pieces of about 1 MiB. They lie in one buffer, which is filled anew after each
            call: fresh memory for each would cost more than what is done with it.
        most_bytes: nothing beyond is handed on.
        hint: of the refusal of a larger one.
    """
    refuse_if_announced_larger(request, most_bytes, hint=hint)
    buffer = memoryview(bytearray(_BUFFER_BYTES))
    received = filled = 0
    async for chunk in _chunks(request):
        received += len(chunk)
        if received > most_bytes:
            raise too_large(most_bytes, hint=hint)
        rest = memoryview(chunk)
        while rest:
            taken = rest[: _BUFFER_BYTES - filled]
            buffer[filled : filled + len(taken)] = taken
            filled, rest = filled + len(taken), rest[len(taken) :]
            if filled == _BUFFER_BYTES:
                await run_in_threadpool(write, buffer)
                filled = 0
    if filled:
        await run_in_threadpool(write, buffer[:filled])
    return received


def parse_json(model: type[M], text: bytes) -> M:
    """Text as a model of the wire contract; what is wrong is refused field by field."""
    try:
        # Strictly: a number in quotation marks is a mistake of whoever sends it, not a number.
        read = model.model_validate_json(text, strict=True)
    except ValidationError as error:
        fields = invalid_fields(error, model)
        detail = "; ".join(f"{field.pointer or 'the body'}: {field.detail}" for field in fields[:3])
        raise HttpRefusal(422, detail, hint=FIELDS_HINT, fields=fields) from None
    refuse_repeated_names(text)
    return read


def refuse_repeated_names(text: bytes) -> None:
    """Refuses JSON in which an object has a name twice: readers differ in which of its values they take (RFC 8259).

    Args:
        text: JSON that pydantic has read, so it is UTF-8 and not too deep.
    """

    def look(pairs: list[tuple[str, object]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                detail = f"the name {name[:80]!r} is there twice in one object"
                raise HttpRefusal(
                    422, detail, hint="Send each name once.", fields=[FieldProblem(pointer="", detail=detail)]
                )
            seen.add(name)

    # Numbers stay text: only the names matter, and one of ten thousand digits could not be read.
    json.loads(text, object_pairs_hook=look, parse_int=str, parse_float=str)


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    """The body as it arrives; a sender that falls silent is not waited for without end."""
    stream = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(_SILENCE_S):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise HttpRefusal(
                408,
                f"nothing came for {_SILENCE_S:g} s in the middle of the body",
                hint="send it again; large files go in parts: POST /v1/uploads",
                headers={"Connection": "close"},
            ) from None
        yield chunk
