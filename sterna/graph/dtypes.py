"""The element types that a network may use, by their torch names, and what numpy calls them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

DTYPES: Mapping[str, np.dtype[Any]] = {
    "float64": np.dtype("<f8"),
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "bfloat16": np.dtype("<u2"),  # numpy has no such type: these are its bit patterns
    "int64": np.dtype("<i8"),
    "int32": np.dtype("<i4"),
    "int16": np.dtype("<i2"),
    "int8": np.dtype("i1"),
    "uint8": np.dtype("u1"),
    "bool": np.dtype("?"),
}

FLOATING: frozenset[str] = frozenset({"float64", "float32", "float16", "bfloat16"})
