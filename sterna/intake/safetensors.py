"""Arrays of a `.safetensors` file, mapped: length of the header, header in JSON, bytes.

The format is Hugging Face's (safetensors README, "Format"). Arrays must cover the bytes exactly, without holes and
overlaps, so the file cannot ask for more memory than it has itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np

from sterna.errors import DataCorrupt, DataTooLarge
from sterna.graph.check import check_shape, quoted
from sterna.intake.arrays import MappedArray
from sterna.intake.json_text import Reader, parse_object
from sterna.intake.limits import DATA, Limits
from sterna.intake.mapped import MappedFile

_DTYPES: Final[Mapping[str, np.dtype[Any]]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_HEADER = Reader("the header of the data", DATA)
_HINT = "Write it again with safetensors.numpy.save_file(arrays, path)."


def read_safetensors(path: str | os.PathLike[str], limits: Limits) -> dict[str, MappedArray]:
    """Map every array.

    Raises:
        DataCorrupt: it is no safetensors file, or contradicts itself.
        DataTooLarge: more arrays or bytes than are read.
    """
    size = Path(path).stat().st_size
    if size < 8:
        raise DataCorrupt("the data is truncated", hint=_HINT)
    file = MappedFile(path)
    header_bytes = int.from_bytes(file.bytes[:8].tobytes(), "little")
    if header_bytes > min(size - 8, limits.max_json_bytes):
        raise DataCorrupt(f"the header of the data would have {header_bytes} bytes", hint=_HINT)
    if size > limits.max_data_bytes:
        raise DataTooLarge(f"the data has {size} bytes; at most {limits.max_data_bytes} are read")
    header = parse_object(file.bytes[8 : 8 + header_bytes].tobytes(), "the header of the data", DATA)
    header.pop("__metadata__", None)
    if len(header) > limits.max_arrays:
        raise DataTooLarge(f"the data has {len(header)} arrays; at most {limits.max_arrays} are read")
    return _arrays(header, file, 8 + header_bytes)


def _arrays(header: Mapping[str, object], file: MappedFile, start: int) -> dict[str, MappedArray]:
    body = file.bytes[start:]
    arrays: dict[str, MappedArray] = {}
    spans: list[tuple[int, int]] = []
    for name, entry in header.items():
        begin, end = _span(entry)
        spans.append((begin, end))
        dtype, shape = _type_and_shape(name, entry)
        if end > len(body) or prod(shape) * dtype.itemsize != end - begin:
            raise DataCorrupt(f"array {quoted(name)} of shape {shape} does not fit its bytes", hint=_HINT)
        arrays[name] = MappedArray(body[begin:end].view(dtype).reshape(shape), file)
    position = 0
    for begin, end in sorted(spans):
        if begin != position:
            raise DataCorrupt("the arrays of the data overlap or leave holes", hint=_HINT)
        position = end
    if position != len(body):
        raise DataCorrupt("the data has bytes that belong to no array", hint=_HINT)
    return arrays


def _span(entry: object) -> tuple[int, int]:
    offsets = [_HEADER.typed(item, int, "data_offsets") for item in _HEADER.get(entry, "data_offsets", list)]
    if len(offsets) != 2 or not 0 <= offsets[0] <= offsets[1]:
        raise DataCorrupt("the header of the data has offsets that are none", hint=_HINT)
    return offsets[0], offsets[1]


def _type_and_shape(name: str, entry: object) -> tuple[np.dtype[Any], tuple[int, ...]]:
    kind = _HEADER.get(entry, "dtype", str)
    if kind not in _DTYPES:
        raise DataCorrupt(f"array {quoted(name)} is {quoted(kind)}; read are {', '.join(_DTYPES)}", hint=_HINT)
    shape = tuple(_HEADER.typed(item, int, "shape") for item in _HEADER.get(entry, "shape", list))
    check_shape(name, shape, DataCorrupt, hint=_HINT)
    return _DTYPES[kind], shape
