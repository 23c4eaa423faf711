"""The tensors of a `.pt2`: an index in JSON, and raw stored members that are mapped, never loaded whole.

    data/weights/model_weights_config.json      {"config": {"fc.weight": {"path_name": "weight_0", "use_pickle": false,
    data/constants/model_constants_config.json     "tensor_meta": {"dtype": 7, "sizes": …, "strides": …, …}}}}
    data/weights/weight_0                       bytes of one storage; several tensors may look into it

A tensor that was saved as a pickle is refused: reading it would run code from the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sterna.errors import ModelCorrupt, ModelTooLarge, ModelUnsafe, OperatorUnsupported
from sterna.graph import DTYPES
from sterna.graph.check import MAX_SIZE, check_shape, quoted
from sterna.intake.archive import Archive
from sterna.intake.json_text import Reader, parse_object
from sterna.intake.limits import MODEL, Limits

SCALAR_TYPES: Final[Mapping[int, str]] = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float16",
    7: "float32",
    8: "float64",
    12: "bool",
    13: "bfloat16",
}
_STRIDED = 7
_MEMBER_NAME = re.compile(r"(?:weight|tensor)_[0-9]{1,9}")
_OBJECT_NAME = re.compile(r"(?:custom|opaque)_obj_.*")
_INDEX = Reader("the index of tensors", MODEL)


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where a tensor lies. Equal ones are one tensor under two names.

    Attributes:
        member: name in the archive.
        dtype: torch name.
        shape: sizes.
        strides: in elements.
        offset: in elements from the beginning of the member.
    """

    member: str
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int

    @property
    def size_bytes(self) -> int:
        """Bytes of the tensor in memory."""
        return prod(self.shape) * DTYPES[self.dtype].itemsize

    @property
    def end_bytes(self) -> int:
        """One past the last byte that the tensor touches in its member."""
        if prod(self.shape) == 0:
            return 0
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        return (last + 1) * DTYPES[self.dtype].itemsize


def read_index(archive: Archive, folder: str, config: str, limits: Limits) -> dict[str, StoredTensor]:
    """Read where the tensors of one folder lie.

    Args:
        archive: the `.pt2`.
        folder: `…/data/weights/` or `…/data/constants/`.
        config: file name of the index.
        limits: of this reading.

    Raises:
        ModelUnsafe: a tensor is a pickle, something that is no tensor, or said to lie where no tensor does.
        ModelCorrupt: the index contradicts itself or the archive.
        OperatorUnsupported: an element type that is not read.
    """
    form = parse_object(archive.read(folder + config, limits.max_json_bytes), "the index of tensors", MODEL)
    entries = _INDEX.get(form, "config", dict)
    stored = {str(name): _entry(str(name), entry, folder) for name, entry in entries.items()}
    for name, tensor in stored.items():
        _check_extent(name, tensor, archive)
    return stored


def map_tensor(archive: Archive, tensor: StoredTensor) -> NDArray[np.generic]:
    """The tensor as a read-only array over the mapped file; its extent was checked by `read_index`."""
    dtype = DTYPES[tensor.dtype]
    if prod(tensor.shape) == 0:
        return np.zeros(tensor.shape, dtype)
    return np.ndarray(
        tensor.shape,
        dtype,
        buffer=archive.stored(tensor.member).data,
        offset=tensor.offset * dtype.itemsize,
        strides=tuple(stride * dtype.itemsize for stride in tensor.strides),
    )


def check_total(tensors: Mapping[str, StoredTensor], limits: Limits) -> None:
    """Raise ModelTooLarge where all tensors together need more memory than is allowed."""
    total = sum(tensor.size_bytes for tensor in tensors.values())
    if total > limits.max_model_bytes:
        raise ModelTooLarge(f"the tensors of the network have {total} bytes; at most {limits.max_model_bytes} are read")


def _entry(name: str, entry: object, folder: str) -> StoredTensor:
    member = _INDEX.get(entry, "path_name", str)
    if _INDEX.get(entry, "use_pickle", bool) or _OBJECT_NAME.fullmatch(member):
        raise ModelUnsafe(
            f"{quoted(name)} is stored as a pickled object; reading it would run code from the file",
            hint="Keep plain dense CPU tensors as parameters and buffers, and no other objects, and export again.",
        )
    if not _MEMBER_NAME.fullmatch(member):
        raise ModelUnsafe(
            f"{quoted(name)} is said to lie in {quoted(member)}; tensors lie in members called weight_N or tensor_N",
            hint="Send the file as torch.export.save has written it.",
        )
    meta = _INDEX.get(entry, "tensor_meta", dict)
    if _INDEX.get(meta, "layout", int) != _STRIDED:
        raise OperatorUnsupported(f"{quoted(name)} is a sparse tensor", hint="Call to_dense() on it and export again.")
    shape, strides = _sizes(meta, "sizes"), _sizes(meta, "strides")
    check_shape(name, shape, ModelCorrupt)
    if len(shape) != len(strides):
        raise ModelCorrupt(f"{quoted(name)} has {len(shape)} sizes and {len(strides)} strides")
    offset = _static(_INDEX.get(meta, "storage_offset", dict), "storage_offset")
    return StoredTensor(folder + member, scalar_type(_INDEX.get(meta, "dtype", int)), shape, strides, offset)


def scalar_type(number: int) -> str:
    """The torch name of an element type that the file gives as a number.

    Raises:
        OperatorUnsupported: a type that is not read.
    """
    if number not in SCALAR_TYPES:
        raise OperatorUnsupported(
            f"the network uses element type number {number}; read are {', '.join(SCALAR_TYPES.values())}",
            hint="Convert the network with .float() before exporting it.",
        )
    return SCALAR_TYPES[number]


def _check_extent(name: str, tensor: StoredTensor, archive: Archive) -> None:
    member = archive.members.get(tensor.member)
    if member is None:
        raise ModelCorrupt(f"{quoted(name)} lies in {quoted(tensor.member)}, which the archive has not")
    if tensor.end_bytes > member.stored_bytes:
        raise ModelCorrupt(
            f"{quoted(name)} needs {tensor.end_bytes} bytes of {quoted(tensor.member)}, which has {member.stored_bytes}"
        )
    if tensor.size_bytes > member.stored_bytes:
        raise ModelCorrupt(
            f"{quoted(name)} would grow from {member.stored_bytes} stored bytes to {tensor.size_bytes}",
            hint="Call contiguous() on expanded parameters and buffers and export again.",
        )


def _sizes(meta: object, name: str) -> tuple[int, ...]:
    return tuple(_static(item, name) for item in _INDEX.get(meta, name, list))


def _static(item: object, name: str) -> int:
    value = _INDEX.get(item, "as_int", int)
    if not 0 <= value <= MAX_SIZE:
        raise ModelCorrupt(f"the index of tensors has {value} as {name!r}")
    return value
