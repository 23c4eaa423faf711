"""Trits packed five a byte: 3^5 = 243 of 256 values are used, 1.6 bits a weight (docs/format.md, section 5.1).

codes     +1  0 −1  0  0          digits 1 0 2 0 0     (0 → 0, +1 → 1, −1 → 2)
byte      1·1 + 0·3 + 2·9 + 0·27 + 0·81 = 19 = 0x13
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from sterna.artifact.chunk_error import ChunkError
from sterna.artifact.deflate import deflate_symbols, inflate

_TRITS = 5
_VALUES = 3**_TRITS


def encode_trits(codes: NDArray[np.int8]) -> bytes:
    """Pack codes [w] of {−1, 0, 1} into ⌈w/5⌉ bytes."""
    digits = np.zeros(-(-codes.size // _TRITS) * _TRITS, np.uint8)
    digits[: codes.size] = np.where(codes < 0, 2, codes)
    columns = digits.reshape(-1, _TRITS).T
    packed: NDArray[np.uint8] = columns[4].copy()
    for column in columns[3::-1]:  # Horner: ((d4·3 + d3)·3 + …)·3 + d0
        packed *= 3
        packed += column
    return packed.tobytes()


def decode_trits(payload: bytes | memoryview, weights: int, zeros: int) -> NDArray[np.int8]:
    """Unpack `weights` codes.

    Raises:
        ChunkError: wrong length, a byte above 242, padding that is not 0, or another number of zeros.
    """
    packed = np.frombuffer(payload, np.uint8)
    if packed.size != -(-weights // _TRITS):
        raise ChunkError(f"{packed.size} bytes of trits for {weights} weights")
    if packed.size and int(packed.max()) >= _VALUES:
        raise ChunkError(f"byte {int(packed.max())} is not five trits")
    codes: NDArray[np.int8] = _table().take(packed).view(np.int8)
    if codes[weights:].any():
        raise ChunkError("the padding is not 0")
    codes = codes[:weights]
    if int(np.count_nonzero(codes)) != weights - zeros:
        raise ChunkError(f"{weights - int(np.count_nonzero(codes))} zeros found, {zeros} declared")
    return codes


def encode_deflated_trits(codes: NDArray[np.int8]) -> bytes:
    """Pack codes five a byte and deflate the bytes."""
    return deflate_symbols(encode_trits(codes))


def decode_deflated_trits(payload: bytes | memoryview, weights: int, zeros: int) -> NDArray[np.int8]:
    """Undo `encode_deflated_trits`.

    Raises:
        ChunkError: as `inflate` and `decode_trits`.
    """
    return decode_trits(inflate(payload, -(-weights // _TRITS)), weights, zeros)


@cache
def _table() -> NDArray[np.void]:
    """The five codes of each byte as one element of 5 bytes, [256]."""
    digits = np.arange(256)[:, None] // 3 ** np.arange(_TRITS) % 3
    codes = np.array([0, 1, -1], np.int8)[digits]  # [256, 5]
    table: NDArray[np.void] = codes.view(np.dtype(("V", _TRITS))).reshape(-1)
    return table
