"""The zero mask, deflated, then the signs (docs/format.md, section 5.2).

Decoding is the hot path: eight codes at a time, no branch. A mask byte has n ones and takes the next n sign bits:

    mask byte   0000 0101      codes 0 and 2 are not zero
    signs       …0 1 0|1 0     at the bit where the bytes before have left off, the next two are: 0, 1
    window      the eight sign bits from there on; the table ignores those that the mask byte does not use
    table       [mask byte · 256 + window] → the eight codes +1 0 −1 0 0 0 0 0 as one 64-bit element

The table has 2^16 elements (512 KiB) and is made on first use. It takes 8 lookups' worth of numpy for 8 weights, where
expanding bits to bytes and writing signs through the mask takes several passes over every single weight.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from sterna.artifact.chunk_error import ChunkError
from sterna.artifact.deflate import deflate_symbols, inflate
from sterna.artifact.signs import pack_signs, split_signs

_AT_ONCE = 2**16
"""Mask bytes that are expanded at once: what that takes stays in the cache, and small beside the codes."""


def encode_mask(codes: NDArray[np.int8]) -> bytes:
    """Encode codes [w] of {−1, 0, 1}."""
    nonzero = codes != 0
    return deflate_symbols(np.packbits(nonzero, bitorder="little").tobytes()) + pack_signs(codes[nonzero])


def decode_mask(payload: bytes | memoryview, weights: int, zeros: int) -> NDArray[np.int8]:
    """Decode `weights` codes.

    Raises:
        ChunkError: an invalid stream, padding that is not 0, or another number of zeros.
    """
    nonzeros = weights - zeros
    stream, signs = split_signs(payload, nonzeros)
    mask = np.frombuffer(inflate(stream, -(-weights // 8)), np.uint8)
    ones = np.bitwise_count(mask)
    found = int(ones.sum(dtype=np.int64))
    if found != nonzeros:
        raise ChunkError(f"{weights - found} zeros found, {zeros} declared")
    codes = _expand(mask, ones, signs)
    if codes[weights:].any():
        raise ChunkError("the padding of the mask is not 0")
    return codes[:weights]


def _expand(mask: NDArray[np.uint8], ones: NDArray[np.uint8], signs: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Give 8 codes for each mask byte. mask [m], ones [m]: its number of ones, signs [⌈Σ ones / 8⌉] → [8·m]."""
    pairs = np.zeros(signs.size + 1, np.uint16)  # each sign byte with the next: any 8 bits lie within one pair
    pairs[:-1] = signs
    pairs[:-2] |= pairs[1:-1] << 8
    table = _table()
    codes = np.empty(mask.size, np.uint64)
    bit = 0
    for begin in range(0, mask.size, _AT_ONCE):
        part = slice(begin, begin + _AT_ONCE)
        first = np.cumsum(ones[part], dtype=np.intp)  # bit at which the signs of the next byte begin
        first += bit
        bit = int(first[-1])
        first -= ones[part]
        window = pairs.take(first >> 3)
        window >>= (first & 7).astype(np.uint16)
        window &= 0xFF
        window |= mask[part].astype(np.uint16) << 8
        table.take(window, out=codes[part], mode="clip")  # every window is in the table: clip spares a copy
    return codes.view(np.int8)


@cache
def _table() -> NDArray[np.uint64]:
    """The eight codes of each mask byte and window of signs, [65536] elements of 8 bytes."""
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")  # [256, 8]
    before = np.cumsum(bits, axis=1) - bits  # [256, 8] which of the window's signs belongs to this bit
    negative = bits[:, before].transpose(1, 0, 2)  # [mask, window, 8]
    codes = np.where(bits[:, None, :] == 1, 1 - 2 * negative.astype(np.int8), 0).astype(np.int8)
    return np.ascontiguousarray(codes).view(np.uint64).reshape(-1)
