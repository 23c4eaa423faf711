"""Whether an array holds NaN or infinity, in little memory however large the array is."""

from __future__ import annotations

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
        return all(bool(((piece & _BFLOAT16_EXPONENT) != _BFLOAT16_EXPONENT).all()) for piece in _pieces(array))
    return array.dtype.kind != "f" or all(bool(np.isfinite(piece).all()) for piece in _pieces(array))


def _pieces(array: NDArray[Any]) -> list[NDArray[Any]]:
    """Views of at most about a million elements; what is not contiguous is copied first."""
    flat = array.reshape(-1)
    return [flat[start : start + _PIECE] for start in range(0, flat.size, _PIECE)]
