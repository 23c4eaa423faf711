"""Deflated bytes of strangers, made whole piece by piece and never beyond what was promised."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sterna.graph.check import quoted
from sterna.intake.limits import Refusals

_PIECE: Final = 2**20
_TAKEN: Final = 2**16
_HINT = "Make the file again and send it whole."


def inflate(
    packed: NDArray[np.uint8], name: str, *, size_bytes: int, crc32: int, refusals: Refusals
) -> Iterator[bytes]:
    """Give the bytes in pieces of at most 1 MiB; whoever takes them all knows that they are those that were written.

    Args:
        packed: a raw deflate stream (RFC 1951).
        name: of the member, for messages.
        size_bytes: how many bytes were promised.
        crc32: of these bytes, as promised.
        refusals: which errors to raise.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    taken = found_bytes = found_crc32 = 0
    while not inflater.eof:
        chunk = inflater.unconsumed_tail
        if not chunk:
            chunk = packed[taken : taken + _TAKEN].tobytes()
            taken += len(chunk)
        try:
            piece = inflater.decompress(chunk, _PIECE)
        except zlib.error as error:
            raise refusals.corrupt(f"{quoted(name)} cannot be decompressed: {error}", hint=_HINT) from None
        found_bytes += len(piece)
        if found_bytes > size_bytes or not (piece or chunk):
            break
        found_crc32 = zlib.crc32(piece, found_crc32)
        yield piece
    if found_bytes != size_bytes:
        found = "more" if found_bytes > size_bytes else found_bytes
        raise refusals.corrupt(f"{quoted(name)} promises {size_bytes} bytes and has {found}", hint=_HINT)
    if found_crc32 != crc32:
        raise refusals.corrupt(f"{quoted(name)} is damaged: its CRC-32 differs", hint=_HINT)
