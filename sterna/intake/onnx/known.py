"""Small arrays of whole numbers that are known, of any number of axes; exporters shuffle pads and axes through such.

Sizes of dynamic axes, which are known by name, lie among the numbers in arrays of objects.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sterna.graph import DTYPES, FLOATING, ValueRef
from sterna.graph.check import MAX_LIST
from sterna.intake.onnx.conversion import KnownTensor
from sterna.intake.onnx.values import Computed, Grid, Items, Stored, Value


def known_array(value: Value) -> NDArray[Any] | None:
    """The elements of a value, None where they are not known, not whole, or too many."""
    if isinstance(value, Computed) or value.dtype in FLOATING or prod(value.shape) > MAX_LIST:
        return None
    if isinstance(value, Stored):
        return value.tensor.read()
    dtype = DTYPES[value.dtype] if isinstance(value, Items) and value.is_known else np.dtype(object)
    array = np.empty(len(value.elements), dtype)
    array[:] = value.elements
    return array.reshape(value.shape)


def as_value(array: NDArray[Any], dtype: str) -> Value:
    """An array as a value, whose elements stay known."""
    elements = tuple(array.reshape(-1).tolist())
    if array.ndim <= 1:
        return Items(elements, dtype, scalar=array.ndim == 0)
    if any(isinstance(element, ValueRef) for element in elements):
        return Grid(elements, dtype, array.shape)
    return Stored(KnownTensor("constant", dtype, array.astype(DTYPES[dtype])))
