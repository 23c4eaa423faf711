"""Arrays of a data file: what they are is known at once, their elements come whole or in pieces.

Whoever only checks them takes the pieces and holds one at a time, however many elements a small file stands for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from sterna.intake.archive import Archive
from sterna.intake.finite import pieces_of
from sterna.intake.mapped import MappedFile, Walk
from sterna.intake.spool import room_for


class StoredArray(Protocol):
    """An array in a file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type, in the byte order of the file."""

    def pieces(self) -> Iterator[NDArray[Any]]:
        """All elements in the order of the file, as flat arrays of at most about a million."""

    def read(self) -> NDArray[Any]:
        """The whole array, perhaps read-only."""


@dataclass(frozen=True, slots=True)
class MappedArray:
    """An array whose elements lie in the file as they are; it costs no memory.

    Attributes:
        array: a read-only view of the mapped file.
        file: that file; None where there are no elements.
    """

    array: NDArray[Any]
    file: MappedFile | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type, in the byte order of the file."""
        return self.array.dtype

    def pieces(self) -> Iterator[NDArray[Any]]:
        """All elements in the order of the file, as flat views; each is forgotten some time after the next is taken."""
        walk = Walk(self.file)
        for piece in pieces_of(self.array):
            yield piece
            walk.passed(piece)

    def read(self) -> NDArray[Any]:
        """The view."""
        return self.array


@dataclass(frozen=True, slots=True)
class DeflatedArray:
    """An array that lies compressed in an archive, after a header.

    Attributes:
        archive: where it lies.
        member: its name there.
        start: length of the header, in bytes of the decompressed member.
        shape: sizes; with `dtype` they fit the length of the member.
        dtype: element type, in the byte order of the file.
        order: `F` where the first axis runs fastest.
    """

    archive: Archive
    member: str
    start: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    order: Literal["C", "F"]

    def pieces(self) -> Iterator[NDArray[Any]]:
        """All elements in the order of the file; having taken them all, one knows that they are undamaged."""
        ahead, rest = self.start, b""
        for piece in self.archive.inflate(self.member):
            skipped, ahead = piece[ahead:], max(0, ahead - len(piece))
            content = rest + skipped
            whole = len(content) - len(content) % self.dtype.itemsize
            rest = content[whole:]
            yield np.frombuffer(content[:whole], self.dtype)

    def read(self) -> NDArray[Any]:
        """The whole array, decompressed: into memory, or where it is large into a file that is mapped."""
        flat = room_for((prod(self.shape),), self.dtype)
        filled = 0
        for piece in self.pieces():
            flat[filled : filled + len(piece)] = piece
            filled += len(piece)
        return flat.reshape(self.shape, order=self.order)
