"""The gaps between the codes that are not zero, deflated, then the signs (docs/format.md, section 5.3).

At 95 % zeros a mask byte is 0 two times in three and Huffman's shortest code, one bit, is too long for it. Gaps have a
geometric distribution, which Huffman codes fit well at every sparsity above 0.75. Decoding costs per non-zero code.

    codes  six hundred zeros, −1      gap 600 = 255 + 255 + 90      bytes ff ff 5a
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sterna.artifact.chunk_error import ChunkError
from sterna.artifact.deflate import deflate_symbols, inflate_at_most
from sterna.artifact.signs import pack_signs, split_signs

_ESCAPE = 255
_AT_ONCE = 2**18
"""Symbols that are turned into positions at once: those take 16 times the memory of the symbols."""


def encode_gaps(codes: NDArray[np.int8]) -> bytes:
    """Encode codes [w] of {−1, 0, 1}."""
    positions = np.flatnonzero(codes)
    gaps = np.diff(positions, prepend=-1) - 1
    escapes = gaps // _ESCAPE
    symbols = np.full(positions.size + int(escapes.sum()), _ESCAPE, np.uint8)
    symbols[np.arange(positions.size) + np.cumsum(escapes)] = gaps % _ESCAPE
    return deflate_symbols(symbols.tobytes()) + pack_signs(codes[positions])


def decode_gaps(payload: bytes | memoryview, weights: int, zeros: int) -> NDArray[np.int8]:
    """Decode `weights` codes.

    Raises:
        ChunkError: an invalid stream, a code beyond the end, or another number of zeros.
    """
    nonzeros = weights - zeros
    stream, signs = split_signs(payload, nonzeros)
    symbols = np.frombuffer(inflate_at_most(stream, nonzeros + zeros // _ESCAPE), np.uint8)
    if symbols.size and symbols[-1] == _ESCAPE:
        raise ChunkError("zeros after the last code that is not 0 are written out")
    found = symbols.size - int(np.count_nonzero(symbols == _ESCAPE))
    if found != nonzeros:
        raise ChunkError(f"{weights - found} zeros found, {zeros} declared")
    codes = np.zeros(weights, np.int8)
    end = done = 0  # behind the last code so far, and how many are not 0
    for begin in range(0, symbols.size, _AT_ONCE):
        positions, end = _positions(symbols[begin : begin + _AT_ONCE], end)
        if positions.size and positions[-1] >= weights:
            raise ChunkError(f"a code at {int(positions[-1])} of {weights}")
        codes[positions] = _signed(signs, done, positions.size)
        done += positions.size
    return codes


def _positions(symbols: NDArray[np.uint8], start: int) -> tuple[NDArray[np.intp], int]:
    """Where the codes that are not 0 lie that these symbols lead to from `start`, and where the symbols end."""
    # A gap below 255 leads past its zeros and its code, 255 past 255 zeros and no code.
    ends = np.cumsum(np.minimum(symbols.astype(np.uint16) + 1, _ESCAPE), dtype=np.intp)
    ends += start
    return ends[symbols != _ESCAPE] - 1, int(ends[-1])


def _signed(signs: NDArray[np.uint8], first: int, count: int) -> NDArray[np.int8]:
    """+1 or −1 for `count` sign bits from bit `first` on."""
    skip = first % 8
    bits = np.unpackbits(signs[first // 8 :], count=skip + count, bitorder="little")[skip:]
    return 1 - 2 * bits.view(np.int8)
