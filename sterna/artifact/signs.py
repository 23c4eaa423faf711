"""The signs of the codes that are not zero, one bit each: 1 for −1, least significant bit first, never compressed.

signs  + − + − −      bits 0 1 0 1 1      byte 2 + 8 + 16 = 0x1a
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sterna.artifact.chunk_error import ChunkError


def pack_signs(nonzero: NDArray[np.int8]) -> bytes:
    """Pack the signs of codes [n] of {−1, 1} into ⌈n/8⌉ bytes."""
    return np.packbits(nonzero < 0, bitorder="little").tobytes()


def split_signs(payload: bytes | memoryview, nonzeros: int) -> tuple[memoryview, NDArray[np.uint8]]:
    """Split a chunk into the stream before the sign bits and the ⌈nonzeros/8⌉ bytes of sign bits at its end.

    Raises:
        ChunkError: the chunk is shorter than its signs, or bits beyond the last sign are not 0.
    """
    size_bytes = -(-nonzeros // 8)
    if size_bytes > len(payload):
        raise ChunkError(f"{nonzeros} signs need {size_bytes} bytes, the chunk has {len(payload)}")
    view = memoryview(payload)
    split = len(view) - size_bytes
    signs = np.frombuffer(view[split:], np.uint8)
    if nonzeros % 8 and int(signs[-1]) >> nonzeros % 8:
        raise ChunkError("the padding of the signs is not 0")
    return view[:split], signs
