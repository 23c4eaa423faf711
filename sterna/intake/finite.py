"""Whether an array holds NaN or infinity, in little memory however large the array is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_PIECE: Final = 2**20
_BFLOAT16_EXPONENT: Final = 0x7F80


def is_finite(array: NDArray[Any], dtype: str = "") -> bool:
    """Tell whether every element is a finite number; integers and truth values always are.

    Args:
        array: of any type and any strides.
        dtype: torch name of the element type; `bfloat16` says that the array is uint16 bit patterns.
    """
    if dtype == "bfloat16":
        return all(bool(((piece & _BFLOAT16_EXPONENT) != _BFLOAT16_EXPONENT).all()) for piece in pieces_of(array))
    return array.dtype.kind != "f" or all(bool(np.isfinite(piece).all()) for piece in pieces_of(array))


def pieces_of(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Flat views of at most about a million elements, in the order of memory; what has gaps is copied first."""
    flat = array.ravel(order="K")
    return (flat[start : start + _PIECE] for start in range(0, flat.size, _PIECE))
