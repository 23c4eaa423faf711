"""A file mapped into memory, and looked through without its pages piling up there.

Pages that were looked at count as this process's memory until the kernel wants them back, which it may do late or, in a
container with little room, not gladly. Whoever goes through much of a file forgets them on the way.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FORGET_EVERY_BYTES: Final = 32 * 2**20


class MappedFile:
    """The bytes of a file that is not empty; read-only, and only what is looked at is read.

    Attributes:
        bytes: all of them, uint8.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        with Path(path).open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.bytes: NDArray[np.uint8] = np.frombuffer(self._map, dtype=np.uint8)

    def forget(self) -> None:
        """Give back the memory of what was looked at; a second look reads it again."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)


class Walk:
    """Forgets a file's pages as a walk through it goes on."""

    def __init__(self, file: MappedFile | None) -> None:
        self._file = file
        self._passed_bytes = 0

    def passed(self, piece: NDArray[Any]) -> None:
        """Say that the walk is through with a piece."""
        self._passed_bytes += piece.nbytes
        if self._file is not None and self._passed_bytes >= FORGET_EVERY_BYTES:
            self._passed_bytes = 0
            self._file.forget()
