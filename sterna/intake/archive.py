"""Zip archives from strangers: the directory is checked before any member is touched.

The standard library reads the directory; nothing is ever extracted. Refused are encrypted members, methods
other than stored (and deflated, where the caller allows it), two members of one name, absolute names and `..`,
members outside the file, members that overlap, and local headers that name another member than the directory does:
two readers of such a file would see two different contents. A stored member is a slice of the mapped file and costs
no memory.
"""

from __future__ import annotations

import errno
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from sterna.graph.check import quoted
from sterna.intake.inflate import inflate
from sterna.intake.limits import Limits, Refusals
from sterna.intake.mapped import MappedFile, Walk

_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_END = struct.Struct("<4s4H2LH")
_END_LOCATOR_64 = struct.Struct("<4sLQL")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_PIECE = 2**22
_LONGEST_COMMENT = 2**16 - 1
_HINT = "Make the file again and send it whole."


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an archive.

    Attributes:
        start: offset of its bytes in the file.
        stored_bytes: how many there are in the file.
        size_bytes: how many it says there are when decompressed.
        crc32: of the decompressed bytes, as it says.
        deflated: whether it is compressed.
    """

    start: int
    stored_bytes: int
    size_bytes: int
    crc32: int
    deflated: bool


class Archive:
    """A checked zip file, mapped into memory.

    Args:
        path: the file.
        limits: what it may not exceed.
        refusals: which errors to raise.
        allow_deflated: whether compressed members are allowed.

    Attributes:
        file: what is mapped.
        members: by name, in the order of the directory.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, limits: Limits, refusals: Refusals, allow_deflated: bool = False
    ) -> None:
        self._refusals = refusals
        infos = read_directory(path, limits, refusals)
        self.file = MappedFile(path)
        self._bytes = self.file.bytes
        self.members = {info.filename: self._member(info, allow_deflated) for info in infos}
        _check_overlap(self.members.values(), refusals)

    def stored(self, name: str) -> NDArray[np.uint8]:
        """The bytes of a stored member, as a read-only slice of the mapped file."""
        member = self._find(name)
        return self._bytes[member.start : member.start + member.stored_bytes]

    def inflate(self, name: str) -> Iterator[bytes]:
        """The bytes of a deflated member, decompressed in pieces; after the last one they are known to be undamaged."""
        member = self._find(name)
        return inflate(
            self.stored(name), name, size_bytes=member.size_bytes, crc32=member.crc32, refusals=self._refusals
        )

    def check_crc(self, name: str) -> None:
        """Raise unless the bytes of a stored member are those that were written."""
        content, crc32, walk = self.stored(name), 0, Walk(self.file)
        for start in range(0, len(content), _PIECE):
            piece = content[start : start + _PIECE]
            crc32 = zlib.crc32(piece.data, crc32)
            walk.passed(piece)
        if crc32 != self.members[name].crc32:
            raise self._refusals.corrupt(f"{quoted(name)} is damaged: its CRC-32 differs", hint=_HINT)

    def read(self, name: str, max_bytes: int) -> bytes:
        """A stored member as bytes, checked.

        Args:
            name: of the member.
            max_bytes: what the caller is ready to hold in memory.
        """
        size = self._find(name).stored_bytes
        if size > max_bytes:
            raise self._refusals.too_large(f"{quoted(name)} has {size} bytes; at most {max_bytes} are read")
        self.check_crc(name)
        return self.stored(name).tobytes()

    def _find(self, name: str) -> Member:
        try:
            return self.members[name]
        except KeyError:
            raise self._refusals.corrupt(f"the archive has no member {quoted(name)}", hint=_HINT) from None

    def _member(self, info: zipfile.ZipInfo, allow_deflated: bool) -> Member:
        self._check_method(info, allow_deflated)
        start = self._data_start(info)
        if start + info.compress_size > len(self._bytes):
            raise self._refusals.corrupt(f"{quoted(info.filename)} reaches beyond the end of the file", hint=_HINT)
        deflated = info.compress_type == zipfile.ZIP_DEFLATED
        return Member(start, info.compress_size, info.file_size, info.CRC, deflated)

    def _check_method(self, info: zipfile.ZipInfo, allow_deflated: bool) -> None:
        methods = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} if allow_deflated else {zipfile.ZIP_STORED}
        if info.flag_bits & 0x1:
            raise self._refusals.unsafe(f"{quoted(info.filename)} is encrypted; only plain members are read")
        if info.compress_type not in methods:
            allowed = "stored or deflated" if allow_deflated else "stored, not compressed"
            raise self._refusals.unsafe(
                f"{quoted(info.filename)} is compressed by method {info.compress_type}; members must be {allowed}",
                hint="Send the file as the framework has written it, not zipped again.",
            )
        if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
            raise self._refusals.corrupt(f"{quoted(info.filename)} is stored and says two different lengths")

    def _data_start(self, info: zipfile.ZipInfo) -> int:
        """Where the bytes begin: after the member's own header, which must be there and agree on the name."""
        end = info.header_offset + _LOCAL_HEADER.size
        if info.header_offset < 0 or end > len(self._bytes):
            raise self._refusals.corrupt(f"{quoted(info.filename)} begins beyond the end of the file", hint=_HINT)
        magic, *_, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(self._bytes[info.header_offset : end].tobytes())
        name = self._bytes[end : end + name_bytes].tobytes()
        if magic != b"PK\x03\x04" or name != info.orig_filename.encode(_encoding(info)):
            raise self._refusals.unsafe(
                f"the directory of the archive and the header of {quoted(info.filename)} disagree", hint=_HINT
            )
        return end + int(name_bytes) + int(extra_bytes)


def read_directory(path: str | os.PathLike[str], limits: Limits, refusals: Refusals) -> list[zipfile.ZipInfo]:
    """The members of a zip file with sound and distinct names; nothing of them is read."""
    if _directory_bytes(Path(path), refusals) > limits.max_directory_bytes:
        raise refusals.too_large(
            f"the directory of the archive is longer than the {limits.max_directory_bytes} bytes that are read"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.filename.endswith("/")]
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, ValueError, OSError) as error:
        # A directory that lies sends the reader to no place in the file; any other failure is the disk's.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        raise refusals.corrupt(f"the archive cannot be read: {error}", hint=_HINT) from None
    if len(infos) > limits.max_members:
        raise refusals.too_large(f"the archive has {len(infos)} members; at most {limits.max_members} are read")
    _check_names([info.orig_filename for info in infos], refusals)
    return infos


def _directory_bytes(path: Path, refusals: Refusals) -> int:
    """What the standard library is going to read into memory, from the record at the end of the file."""
    longest = _END.size + _LONGEST_COMMENT + _END_LOCATOR_64.size
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - longest))
        tail = file.read()
        position = tail.rfind(b"PK\x05\x06")
        record = _END.unpack_from(tail, position) if 0 <= position <= len(tail) - _END.size else None
        if record is None or position + _END.size + record[7] != len(tail):
            raise refusals.corrupt("the archive is truncated: it does not end with its directory", hint=_HINT)
        directory_bytes = int(record[5])
        locator = position - _END_LOCATOR_64.size
        if locator >= 0 and tail[locator : locator + 4] == b"PK\x06\x07":
            # The standard library looks right before the locator, whatever place the locator names: so do we, too.
            named = min(_END_LOCATOR_64.unpack_from(tail, locator)[2], size)
            before = max(0, size - len(tail) + locator - _END_64.size)
            found = [length for place in (named, before) if (length := _directory_bytes_64(file, place)) is not None]
            if found:
                return max(directory_bytes % 0xFFFFFFFF, *found)
    return directory_bytes


def _directory_bytes_64(file: BinaryIO, place: int) -> int | None:
    file.seek(place)
    record = file.read(_END_64.size)
    if len(record) < _END_64.size or record[:4] != b"PK\x06\x06":
        return None
    return int(_END_64.unpack(record)[8])


def _check_names(names: list[str], refusals: Refusals) -> None:
    seen: set[str] = set()
    for name in names:
        parts = name.split("/")
        if not name or name.startswith("/") or "\\" in name or "\0" in name or ".." in parts or ":" in parts[0]:
            raise refusals.unsafe(f"the archive has a member called {quoted(name)}; names are relative paths")
        if name in seen:
            raise refusals.unsafe(f"the archive has two members called {quoted(name)}", hint=_HINT)
        seen.add(name)


def _check_overlap(members: Iterable[Member], refusals: Refusals) -> None:
    end = 0
    for member in sorted(members, key=lambda member: (member.start, member.stored_bytes)):
        if member.start < end:
            raise refusals.unsafe("two members of the archive overlap", hint=_HINT)
        end = member.start + member.stored_bytes


def _encoding(info: zipfile.ZipInfo) -> str:
    return "utf-8" if info.flag_bits & 0x800 else "cp437"
