"""One array of the data, and what it has to become: its element type, its values, and how it is converted.

Floating arrays become the wanted floating type, integers the wanted integer type where every integer fits. Floats and
integers are not exchanged, because that would guess at a scale. `longdouble` is no type of a file: what its bits mean
differs from machine to machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sterna.errors import DataMismatch, NonFiniteData
from sterna.graph import DTYPES
from sterna.graph.check import quoted
from sterna.intake.arrays import StoredArray
from sterna.intake.finite import is_finite, pieces_of
from sterna.intake.spool import converted

ANY_INTEGER: Final = range(-(2**63), 2**63)
_WIDEST_FLOAT_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Column:
    """An array that fits by name, shape and type; its values are yet unknown.

    Attributes:
        name: in the file.
        stored: what the file has.
        dtype: what it becomes.
        integers: which integers it may hold, where it holds integers.
    """

    name: str
    stored: StoredArray
    dtype: np.dtype[Any]
    integers: range = ANY_INTEGER

    def check(self) -> None:
        """Look at every value, in little memory.

        Raises:
            NonFiniteData: one is NaN or infinite, or becomes so.
            DataMismatch: one is an integer that does not belong.
            DataCorrupt: the bytes are not those that were written.
        """
        self._check(self.stored.pieces())

    def read(self) -> NDArray[Any]:
        """The whole array, checked and converted; a read-only view of the file where nothing was to convert.

        Where there was, and it is large, it lies in a temporary file and not in memory.
        """
        array = self.stored.read()
        self._check(pieces_of(array))
        as_wanted = array.dtype == self.dtype and array.flags.c_contiguous
        return array if as_wanted else converted(array, self.dtype)

    def _check(self, pieces: Iterable[NDArray[Any]]) -> None:
        for piece in pieces:
            with np.errstate(over="ignore"):
                finite = is_finite(piece) and is_finite(piece.astype(self.dtype, copy=False))
            if not finite:
                raise NonFiniteData(
                    f"array {quoted(self.name)} holds NaN or infinity, or numbers too large for {self.dtype}",
                    hint="Remove or replace these samples.",
                )
            if self.dtype.kind in "iu" and piece.size:
                self._check_integers(int(piece.min()), int(piece.max()))

    def _check_integers(self, least: int, most: int) -> None:
        if least not in self.integers or most not in self.integers:
            allowed = f"0 to {self.integers.stop - 1}" if self.integers.stop < ANY_INTEGER.stop else "0 and above"
            found = least if least < 0 else most
            raise DataMismatch(
                f"array {quoted(self.name)} holds the class index {found}; allowed are {allowed}",
                hint="Number the classes from 0 in the order of the network's logits. Leave the array out where the"
                " original network is to teach.",
            )


def input_dtype(name: str, found: np.dtype[Any], wanted: str) -> np.dtype[Any]:
    """What an array becomes that is to be an input.

    Args:
        name: of the array.
        found: its element type.
        wanted: torch name of the input's type.

    Raises:
        DataMismatch: it cannot become that.
    """
    becomes = np.dtype("<f4") if wanted == "bfloat16" else DTYPES[wanted]
    both_floating = _is_floating(found) and becomes.kind == "f"
    both_whole = found.kind in "iu" and becomes.kind in "iu" and np.can_cast(found, becomes, "safe")
    if not (found == becomes or both_floating or both_whole):
        raise DataMismatch(
            f"array {quoted(name)} is {found}; the network takes {wanted}",
            hint=f"Convert it, scaled as in training, with .astype(numpy.{becomes.name}).",
        )
    return becomes


def target_dtype(name: str, found: np.dtype[Any]) -> np.dtype[Any]:
    """What an array becomes that is to be a target: int64 of integers and truth values, float32 of floats.

    Raises:
        DataMismatch: it can become neither.
    """
    if _is_floating(found):
        return np.dtype("<f4")
    if found.kind in "iub" and np.can_cast(found, np.int64, "safe"):
        return np.dtype("<i8")
    raise DataMismatch(
        f"array {quoted(name)} is {found}; a target is bool, an integer that fits int64, float16, float32 or float64",
        hint="Convert it with .astype(numpy.int64) for class indices, .astype(numpy.float32) for values.",
    )


def _is_floating(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "f" and dtype.itemsize <= _WIDEST_FLOAT_BYTES
