"""The safetensors container: a length, a JSON header, and tensors back to back (docs/format.md, section 2).

Reading is a matter of distrust: everything that the header claims is checked against the length of the file before
any of it is used. Writing puts tensors into one order and JSON into one form: the same content gives the same bytes.
Why not the `safetensors` package: readers of artifacts shall need numpy alone, and it does not promise an order.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sterna.artifact.element_types import ELEMENT_TYPES, ElementType
from sterna.artifact.json_text import (
    expect_integer,
    expect_list,
    expect_object,
    expect_string,
    from_text,
    short,
    to_text,
)
from sterna.artifact.limits import (
    MAX_DIMENSIONS,
    MAX_HEADER_BYTES,
    MAX_NAME_CHARACTERS,
    MAX_SIZE,
    MAX_STORED_TENSORS,
)
from sterna.errors import ArtifactCorrupt, InvalidSpec, ModelTooLarge

_LENGTH_BYTES = 8
_HINT = "The file is damaged or is no safetensors file: fetch it again, or ask its maker."


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where a tensor lies in the file.

    Attributes:
        begin, end: offsets in bytes from the start of the data.
    """

    element_type: ElementType
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def size_bytes(self) -> int:
        """Bytes that it takes in the file."""
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself, checked.

    Attributes:
        metadata: `__metadata__`, empty where there is none.
        tensors: by name, in the order of the header.
        data_start: offset in bytes of the data from the start of the file.
    """

    metadata: Mapping[str, str]
    tensors: Mapping[str, StoredTensor]
    data_start: int


@dataclass(frozen=True, slots=True)
class OutgoingTensor:
    """A tensor to write.

    Attributes:
        read: gives its values, of the type's numpy dtype and of `shape`. Called when it is written, perhaps twice,
            so that a file can be larger than the memory.
    """

    name: str
    element_type: ElementType
    shape: tuple[int, ...]
    read: Callable[[], NDArray[Any]]

    def contents(self) -> memoryview:
        """Give its bytes as they lie in the file."""
        array = np.ascontiguousarray(self.read(), dtype=self.element_type.numpy)
        assert array.size == math.prod(self.shape), self.name
        return memoryview(array.reshape(-1).view(np.uint8).data)


def read_header(data: memoryview) -> Header:
    """Read and check the header of a whole file, `data`.

    Raises:
        ArtifactCorrupt: the file is truncated or contradicts itself.
    """
    try:
        return _read_header(data)
    except ArtifactCorrupt as error:
        raise ArtifactCorrupt(error.detail, hint=_HINT) from None


def arrange(tensors: Iterable[OutgoingTensor]) -> tuple[OutgoingTensor, ...]:
    """Give the tensors in the order of the file: large elements first, so that all are aligned, then by name."""
    return tuple(sorted(tensors, key=lambda tensor: (-tensor.element_type.size_bytes, tensor.name)))


def write_container(path: Path, tensors: Sequence[OutgoingTensor], metadata: Mapping[str, str]) -> tuple[int, str]:
    """Write arranged tensors to `path`, which appears whole or not at all.

    Returns:
        Length in bytes and SHA-256 of the file.

    Raises:
        ModelTooLarge: the header would exceed its limit.
        InvalidSpec: at `path` there is something that is no regular file, such as a device: it is not replaced.
    """
    if path.exists() and not path.is_file():
        raise InvalidSpec(f"{path} is no regular file", hint="Give the name of a new file, or of one to replace.")
    digest = hashlib.sha256()
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            for piece in _pieces(tensors, metadata):
                file.write(piece)
                digest.update(piece)
            size_bytes = file.tell()
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return size_bytes, digest.hexdigest()


def _read_header(data: memoryview) -> Header:
    if len(data) < _LENGTH_BYTES:
        raise ArtifactCorrupt(f"the file has {len(data)} bytes, at least {_LENGTH_BYTES} are needed")
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    if length > MAX_HEADER_BYTES:
        raise ArtifactCorrupt(f"the header claims {length} bytes, at most {MAX_HEADER_BYTES} are allowed")
    data_start = _LENGTH_BYTES + length
    if data_start > len(data):
        raise ArtifactCorrupt(f"the header claims {length} bytes, the file ends after {len(data)}")
    text = bytes(data[_LENGTH_BYTES:data_start]).rstrip(b" ")
    if not text.startswith(b"{"):
        raise ArtifactCorrupt("the header does not begin with '{'")
    members = expect_object(from_text(text, "the header"), "the header")
    metadata = expect_object(members.pop("__metadata__", {}), "__metadata__")
    if len(members) > MAX_STORED_TENSORS:
        raise ArtifactCorrupt(f"{len(members)} tensors are stored, at most {MAX_STORED_TENSORS} are allowed")
    tensors = {name: _stored_tensor(name, value) for name, value in members.items()}
    _check_cover(tensors, len(data) - data_start)
    strings = {name: expect_string(value, f"metadata {short(name)}") for name, value in metadata.items()}
    return Header(strings, tensors, data_start)


def _stored_tensor(name: str, value: object) -> StoredTensor:
    what = f"tensor {short(name)}"
    if not 0 < len(name) <= MAX_NAME_CHARACTERS:
        raise ArtifactCorrupt(f"{what}: its name has {len(name)} characters, 1 … {MAX_NAME_CHARACTERS} are allowed")
    members = expect_object(value, what, ("dtype", "shape", "data_offsets"))
    dtype = expect_string(members["dtype"], f"{what}: dtype")
    if dtype not in ELEMENT_TYPES:
        raise ArtifactCorrupt(f"{what}: dtype {short(dtype)} is not one of {', '.join(ELEMENT_TYPES)}")
    sizes = expect_list(members["shape"], f"{what}: shape", most=MAX_DIMENSIONS)
    shape = tuple(expect_integer(size, f"{what}: a size", least=0, most=MAX_SIZE) for size in sizes)
    offsets = expect_list(members["data_offsets"], f"{what}: data_offsets", most=2)
    if len(offsets) != 2:
        raise ArtifactCorrupt(f"{what}: data_offsets has {len(offsets)} elements, 2 are allowed")
    begin, end = (expect_integer(offset, f"{what}: an offset", least=0, most=MAX_SIZE) for offset in offsets)
    needed = math.prod(shape) * ELEMENT_TYPES[dtype].size_bytes
    if end - begin != needed:
        raise ArtifactCorrupt(f"{what}: its shape needs {needed} bytes, its offsets give {end - begin}")
    return StoredTensor(ELEMENT_TYPES[dtype], shape, begin, end)


def _check_cover(tensors: Mapping[str, StoredTensor], data_bytes: int) -> None:
    end = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        if tensor.begin != end:
            raise ArtifactCorrupt(f"tensor {short(name)} begins at {tensor.begin}, the one before it ends at {end}")
        end = tensor.end
    if end != data_bytes:
        raise ArtifactCorrupt(f"the tensors take {end} bytes, the file holds {data_bytes}")


def _pieces(tensors: Sequence[OutgoingTensor], metadata: Mapping[str, str]) -> Iterable[bytes | memoryview]:
    header = _header_text(tensors, metadata).encode("ascii")
    header += b" " * (-len(header) % 8)
    if len(header) > MAX_HEADER_BYTES:
        raise ModelTooLarge(f"the header would have {len(header)} bytes, at most {MAX_HEADER_BYTES} are allowed")
    yield len(header).to_bytes(_LENGTH_BYTES, "little")
    yield header
    for tensor in tensors:
        yield tensor.contents()


def _header_text(tensors: Sequence[OutgoingTensor], metadata: Mapping[str, str]) -> str:
    members = [f'"__metadata__":{to_text(dict(metadata))}']
    begin = 0
    for tensor in tensors:
        end = begin + math.prod(tensor.shape) * tensor.element_type.size_bytes
        entry = {"dtype": tensor.element_type.name, "shape": list(tensor.shape), "data_offsets": [begin, end]}
        members.append(f"{to_text(tensor.name)}:{to_text(entry)}")
        begin = end
    return "{" + ",".join(members) + "}"
