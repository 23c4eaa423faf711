"""Arrays of an `.npz`, without pickles and without believing what its headers say.

The header of an array is read first and must agree with the length of its member before any memory is taken for it.
Stored arrays stay in the file and are mapped; deflated ones are decompressed in pieces, and never beyond what the
directory promised.
"""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from math import prod
from typing import IO, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from sterna.errors import DataCorrupt, DataTooLarge, DataUnsafe
from sterna.graph.check import check_shape, quoted
from sterna.intake.archive import Archive
from sterna.intake.limits import DATA, Limits

_LONGEST_HEADER: Final = 10_000
_PIECE: Final = 2**20
_HINT = "Write it again with numpy.savez(path, name=array, …)."
_DAMAGED = (ValueError, TypeError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError)
# What numpy writes, read without evaluating it: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
_HEADER: Final = re.compile(
    rb"\{'descr': ?'([<>|=]?[A-Za-z][0-9]{0,4})', ?'fortran_order': ?(True|False), ?'shape': ?\(([0-9, ]*)\),? ?\}\s*"
)


def read_npz(path: str | os.PathLike[str], limits: Limits) -> dict[str, NDArray[Any]]:
    """Read every array.

    Raises:
        DataUnsafe: an array of objects, which is a pickle, or an archive of tricks.
        DataCorrupt: it is no `.npz`, or damaged.
        DataTooLarge: more arrays or bytes than are read.
    """
    archive = Archive(path, limits=limits, refusals=DATA, allow_deflated=True)
    _check_sizes(archive, limits)
    arrays: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(path) as opened:
        for member in archive.members:
            if not member.endswith(".npy"):
                raise DataCorrupt(f"the data has a member {quoted(member)}; an .npz has arrays alone", hint=_HINT)
            arrays[member.removesuffix(".npy")] = _read_array(archive, opened, member)
    return arrays


def _check_sizes(archive: Archive, limits: Limits) -> None:
    if len(archive.members) > limits.max_arrays:
        raise DataTooLarge(f"the data has {len(archive.members)} arrays; at most {limits.max_arrays} are read")
    total = sum(member.size_bytes for member in archive.members.values())
    if total > limits.max_data_bytes:
        raise DataTooLarge(f"the data has {total} bytes; at most {limits.max_data_bytes} are read")


def _read_array(archive: Archive, opened: zipfile.ZipFile, member: str) -> NDArray[Any]:
    entry = archive.members[member]
    try:
        with opened.open(member) as stream:
            shape, fortran, dtype = _read_header(stream, member)
            start = stream.tell()
            _check_length(member, shape, dtype, entry.size_bytes - start)
            if entry.deflated:
                return _decompress(stream, shape, dtype, fortran)
    except _DAMAGED as error:
        raise DataCorrupt(f"array {quoted(member)} cannot be read: {error}", hint=_HINT) from None
    archive.check_crc(member)
    order: Literal["F", "C"] = "F" if fortran else "C"
    if prod(shape) == 0:
        return np.zeros(shape, dtype)
    return np.ndarray(shape, dtype, buffer=archive.stored(member).data, offset=start, order=order)


def _read_header(stream: IO[bytes], member: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran order, and type; leaves the stream at the first element."""
    magic = stream.read(8)
    if magic[:6] != b"\x93NUMPY" or magic[6:] not in {b"\x01\x00", b"\x02\x00"}:
        raise DataCorrupt(f"array {quoted(member)} is not an .npy of version 1.0 or 2.0", hint=_HINT)
    length = int.from_bytes(stream.read(2 if magic[6] == 1 else 4), "little")
    header = _HEADER.fullmatch(stream.read(min(length, _LONGEST_HEADER)))
    if header is None:
        raise DataCorrupt(f"array {quoted(member)} has a header that numpy does not write for numbers", hint=_HINT)
    kind, fortran, sizes = (group.decode("ascii") for group in header.groups())
    if kind.endswith("O"):
        raise DataUnsafe(
            f"array {quoted(member)} is of Python objects; reading it would run code from the file",
            hint="Convert it to an array of numbers.",
        )
    if kind.lstrip("<>|=")[0] not in "fiub":
        raise DataCorrupt(f"array {quoted(member)} is of {kind}; numbers and truth values are read", hint=_HINT)
    return tuple(int(size) for size in sizes.split(",") if size.strip()), fortran == "True", np.dtype(kind)


def _check_length(member: str, shape: tuple[int, ...], dtype: np.dtype[Any], available: int) -> None:
    check_shape(member, shape, DataCorrupt, hint=_HINT)
    if prod(shape) * dtype.itemsize != available:
        raise DataCorrupt(
            f"array {quoted(member)} of shape {shape} needs {prod(shape) * dtype.itemsize} bytes and has {available}",
            hint=_HINT,
        )


def _decompress(stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any], fortran: bool) -> NDArray[Any]:
    flat = np.empty(prod(shape), dtype)
    target = flat.data.cast("B") if flat.size else memoryview(b"")
    filled = 0
    while piece := stream.read(_PIECE):  # reading to the end checks the CRC-32
        target[filled : filled + len(piece)] = piece
        filled += len(piece)
    if filled != len(target):
        raise ValueError(f"{filled} bytes of {len(target)}")
    return flat.reshape(shape, order="F" if fortran else "C")
