"""Arrays of an `.npz`, without pickles and without believing what its headers say.

The header of an array is read first and must agree with the length of its member before any memory is taken for it.
Stored arrays stay in the file and are mapped; deflated ones are decompressed when they are asked for, in pieces, and
never beyond what the directory promised. What promises to grow beyond all measure is refused by its promise.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from math import prod
from typing import Final, Literal

import numpy as np

from sterna.errors import DataCorrupt, DataMismatch, DataTooLarge, DataUnsafe
from sterna.graph.check import check_shape, quoted
from sterna.intake.archive import Archive, Member
from sterna.intake.arrays import DeflatedArray, MappedArray, StoredArray
from sterna.intake.limits import DATA, Limits

_LONGEST_HEADER: Final = 10_000
_SMALL_BYTES: Final = 2**20
_HINT = "Write it again with numpy.savez(path, name=array, …)."
# What numpy writes, read without evaluating it: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
_HEADER: Final = re.compile(
    rb"\{'descr': ?'([<>|=]?[A-Za-z][0-9]{0,4})', ?'fortran_order': ?(True|False), ?'shape': ?\(([0-9, ]*)\),? ?\}\s*"
)


def read_npz(path: str | os.PathLike[str], limits: Limits) -> dict[str, StoredArray]:
    """Find every array; the bytes of those that are not compressed are checked.

    Raises:
        DataUnsafe: an array of objects, which is a pickle, or an archive of tricks.
        DataCorrupt: it is no `.npz`, or damaged.
        DataMismatch: an array of text, of dates, or of other things that are no numbers.
        DataTooLarge: more arrays or bytes than are read.
    """
    archive = Archive(path, limits=limits, refusals=DATA, allow_deflated=True)
    _check_sizes(archive, limits)
    arrays: dict[str, StoredArray] = {}
    for member in archive.members:
        if not member.endswith(".npy"):
            raise DataCorrupt(f"the data has a member {quoted(member)}; an .npz has arrays alone", hint=_HINT)
        arrays[member.removesuffix(".npy")] = _find_array(archive, member)
    return arrays


def _check_sizes(archive: Archive, limits: Limits) -> None:
    if len(archive.members) > limits.max_arrays:
        raise DataTooLarge(f"the data has {len(archive.members)} arrays; at most {limits.max_arrays} are read")
    total = sum(member.size_bytes for member in archive.members.values())
    if total > limits.max_data_bytes:
        raise DataTooLarge(f"the data has {total} bytes; at most {limits.max_data_bytes} are read")
    for name, member in archive.members.items():
        _check_inflation(name, member, limits)


def _check_inflation(name: str, member: Member, limits: Limits) -> None:
    if member.size_bytes > max(_SMALL_BYTES, limits.max_inflation * member.stored_bytes):
        raise DataTooLarge(
            f"array {quoted(name)} would grow from {member.stored_bytes} bytes to {member.size_bytes}; a compressed"
            f" array of more than {_SMALL_BYTES} bytes may be {limits.max_inflation} times as large as in the file",
            hint="Write the data with numpy.savez, which does not compress.",
        )


def _find_array(archive: Archive, name: str) -> StoredArray:
    member = archive.members[name]
    head = _first_bytes(archive, name, member)
    try:
        start, kind, order, shape = _parse_header(head, name)
        dtype = np.dtype(kind)
    except (ValueError, TypeError) as error:  # a number of too many digits; a type such as f3
        raise DataCorrupt(f"array {quoted(name)} cannot be read: {error}", hint=_HINT) from None
    check_shape(name, shape, DataCorrupt, hint=_HINT)
    available = member.size_bytes - start
    if prod(shape) * dtype.itemsize != available:
        raise DataCorrupt(
            f"array {quoted(name)} of shape {shape} needs {prod(shape) * dtype.itemsize} bytes and has {available}",
            hint=_HINT,
        )
    if member.deflated:
        return DeflatedArray(archive, name, start, shape, dtype, order)
    archive.check_crc(name)
    if prod(shape) == 0:
        return MappedArray(np.zeros(shape, dtype))
    array = np.ndarray(shape, dtype, buffer=archive.stored(name).data, offset=start, order=order)
    return MappedArray(array, archive.file)


def _first_bytes(archive: Archive, name: str, member: Member) -> bytes:
    """Enough of a member to have its header."""
    pieces: Iterator[bytes] = (
        archive.inflate(name) if member.deflated else iter([archive.stored(name)[:_LONGEST_HEADER].tobytes()])
    )
    head = b""
    for piece in pieces:
        head += piece[:_LONGEST_HEADER]
        if len(head) >= _LONGEST_HEADER:
            break
    return head[:_LONGEST_HEADER]


def _parse_header(head: bytes, name: str) -> tuple[int, str, Literal["C", "F"], tuple[int, ...]]:
    """Where the elements begin, their type, their order, and the shape."""
    if head[:6] != b"\x93NUMPY" or head[6:8] not in {b"\x01\x00", b"\x02\x00"}:
        raise DataCorrupt(f"array {quoted(name)} is not an .npy of version 1.0 or 2.0", hint=_HINT)
    begin = 10 if head[6] == 1 else 12
    start = begin + int.from_bytes(head[8:begin], "little")
    header = _HEADER.fullmatch(head[begin:start]) if start <= len(head) else None
    if header is None:
        raise DataCorrupt(f"array {quoted(name)} has a header that numpy does not write for numbers", hint=_HINT)
    kind, fortran, sizes = (group.decode("ascii") for group in header.groups())
    if kind.endswith("O"):
        raise DataUnsafe(
            f"array {quoted(name)} is of Python objects; reading it would run code from the file",
            hint="Convert it to an array of numbers.",
        )
    if kind.lstrip("<>|=")[0] not in "fiub":
        raise DataMismatch(
            f"array {quoted(name)} is of {kind}; numbers and truth values are read",
            hint="Number what has names: numpy.unique(labels, return_inverse=True)[1] gives class indices.",
        )
    shape = tuple(int(size) for size in sizes.split(",") if size.strip())
    return start, kind, "F" if fortran == "True" else "C", shape
