"""The element types that a file may hold, under their names in safetensors, in torch and in numpy.

numpy has no bfloat16: such a tensor is the uint16 array of its bit patterns, as in `sterna.graph.Network`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sterna.graph import DTYPES


@dataclass(frozen=True, slots=True)
class ElementType:
    """One type of element.

    Attributes:
        name: in the header of the file, such as `F32`.
        torch_name: in the graph, such as `float32`.
        numpy: as it lies in the file, little-endian.
    """

    name: str
    torch_name: str
    numpy: np.dtype[Any]

    @property
    def size_bytes(self) -> int:
        """Bytes of one element."""
        return self.numpy.itemsize


_NAMES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "I16": "int16",
    "F16": "float16",
    "BF16": "bfloat16",
    "I32": "int32",
    "F32": "float32",
    "I64": "int64",
    "F64": "float64",
}
_TABLE = tuple(ElementType(name, torch_name, DTYPES[torch_name]) for name, torch_name in _NAMES.items())

ELEMENT_TYPES: Mapping[str, ElementType] = {kind.name: kind for kind in _TABLE}
BY_TORCH_NAME: Mapping[str, ElementType] = {kind.torch_name: kind for kind in _TABLE}
