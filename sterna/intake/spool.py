"""Room for arrays that lie in no file as they are needed: compressed ones, and those of another type or order.

Small ones are made in memory. A large one gets a file without a name in the folder for temporary files (of a job: its
own), and is mapped: the memory of the machine then is a cache of it and not its place.
"""

from __future__ import annotations

import os
import tempfile
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

SMALL_BYTES: Final = 32 * 2**20
_ROW_BYTES: Final = 4 * 2**20


def room_for(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An array to be filled, in C order.

    Raises:
        OSError: the disk has no room for it; known at once, and not when it is filled.
    """
    size_bytes = prod(shape) * dtype.itemsize
    if size_bytes <= SMALL_BYTES:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile() as file:
        os.posix_fallocate(file.fileno(), 0, size_bytes)
        return np.memmap(file, dtype, "r+", shape=shape)


def converted(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The same numbers in another type and in C order, a few rows at a time."""
    room = room_for(array.shape, dtype)
    rows = max(1, _ROW_BYTES * len(array) // max(1, room.nbytes))
    for start in range(0, len(array), rows):
        room[start : start + rows] = array[start : start + rows]
    return room
