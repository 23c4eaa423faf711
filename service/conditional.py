"""Entity tags and byte ranges (RFC 9110, sections 13 and 14) for content that never changes under its tag."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_BYTE_RANGE = re.compile(r"bytes\s*=\s*(\d{0,40})\s*-\s*(\d{0,40})\s*", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes from `start` up to but not including `end`."""

    start: int
    end: int


class RangeNotSatisfiable(Exception):
    """The range begins behind the last byte."""


def content_etag(body: bytes) -> str:
    """A strong tag of a representation: equal bytes have equal tags."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def matches(if_none_match: str, etag: str) -> bool:
    """Whether `If-None-Match` names this tag; the weak comparison that the header asks for."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag in tags


def requested_range(header: str | None, if_range: str | None, *, etag: str, size_bytes: int) -> ByteRange | None:
    """The part of the content that is asked for, None for all of it.

    Several ranges at once, other units and malformed headers are answered with the whole, which the RFC allows. So is a
    range whose `If-Range` is not exactly this tag: the client holds a part of something else.

    Raises:
        RangeNotSatisfiable: the content has no such byte.
    """
    match = _BYTE_RANGE.fullmatch(header.strip()) if header is not None else None
    if match is None or (if_range is not None and if_range.strip() != etag):
        return None
    first, last = match[1], match[2]
    if not first:
        return _suffix(last, size_bytes)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size_bytes:
        raise RangeNotSatisfiable
    return ByteRange(start, min(int(last) + 1, size_bytes) if last else size_bytes)


def _suffix(length: str, size_bytes: int) -> ByteRange | None:
    if not length:
        return None
    if int(length) == 0 or size_bytes == 0:
        raise RangeNotSatisfiable
    return ByteRange(max(size_bytes - int(length), 0), size_bytes)
