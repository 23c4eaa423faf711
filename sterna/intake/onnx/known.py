"""Small arrays of whole numbers that are known, of any number of axes; exporters shuffle pads and axes through such."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sterna.graph import DTYPES, FLOATING
from sterna.graph.check import MAX_LIST
from sterna.intake.onnx.conversion import KnownTensor
from sterna.intake.onnx.values import Computed, Items, Stored, Value


def known_array(value: Value) -> NDArray[Any] | None:
    """The elements of a value, None where they are not known, not whole, or too many."""
    if isinstance(value, Computed) or value.dtype in FLOATING or prod(value.shape) > MAX_LIST:
        return None
    if isinstance(value, Stored):
        return value.tensor.read()
    if not value.is_known:
        return None
    return np.array(value.elements, DTYPES[value.dtype]).reshape(value.shape)


def as_value(array: NDArray[Any], dtype: str) -> Value:
    """An array as a value, whose elements stay known."""
    if array.ndim <= 1:
        return Items(tuple(array.reshape(-1).tolist()), dtype, scalar=array.ndim == 0)
    return Stored(KnownTensor("constant", dtype, array))
