"""The wire format of protobuf over a mapped file: fields are walked, contents are stepped over and not read.

    field = key (number << 3 | wire type) + content        varint  = seven bits in each byte, lowest first
    0 varint · 1 eight bytes · 2 length and that many bytes · 5 four bytes        (protobuf.dev, "Encoding")

A weight of a gigabyte is one step here, so what is said about a model costs memory for its nodes and none for its
weights. Stock parsers read a file whole. Groups (wire types 3 and 4), which ONNX never had, are refused.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from sterna.errors import ModelCorrupt, ModelTooLarge

VARINT: Final = 0
EIGHT_BYTES: Final = 1
LENGTH: Final = 2
FOUR_BYTES: Final = 5
MAX_FIELDS: Final = 400_000
HINT: Final = "Export the model again and send it whole."

_MOST_VARINT_BYTES: Final = 10
_FIXED: Final = {EIGHT_BYTES: 8, FOUR_BYTES: 4}
_FLOAT = struct.Struct("<f")

Field: TypeAlias = "tuple[int, int, int, int]"
"""Number, wire type, and the content: (value, 0) of a varint, (start, end) in the file of everything else."""


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of the file, from `start` to before `end`."""

    start: int
    end: int

    @property
    def size_bytes(self) -> int:
        """How many there are."""
        return self.end - self.start


class Wire:
    """A mapped file of protobuf messages.

    Args:
        path: the file; it may not be empty.

    Attributes:
        whole: everything that is in it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        with Path(path).open("rb") as file:
            self.mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.whole = Span(0, len(self.mapped))
        self._left = MAX_FIELDS

    def fields(self, span: Span) -> Iterator[Field]:
        """The fields of the message that a span holds.

        Raises:
            ModelCorrupt: it is none, or ends in the middle of one.
            ModelTooLarge: more fields in the file than are looked at.
        """
        position, end = span.start, span.end
        while position < end:
            self.count(1)
            key, position = self.varint(position, end)
            number, kind = key >> 3, key & 7
            if kind == VARINT:
                value, position = self.varint(position, end)
                yield number, kind, value, 0
                continue
            if kind == LENGTH:
                size, position = self.varint(position, end)
            elif kind in _FIXED:
                size = _FIXED[kind]
            else:
                raise ModelCorrupt(f"the model has a field of wire type {kind}, which ONNX has not", hint=HINT)
            if number == 0 or size > end - position:
                raise ModelCorrupt("the model is truncated: a field reaches beyond what holds it", hint=HINT)
            yield number, kind, position, position + size
            position += size

    def count(self, fields: int) -> None:
        """Take note of fields, or of numbers in lists, that are looked at.

        Raises:
            ModelTooLarge: there are more of them in the file than are looked at.
        """
        self._left -= fields
        if self._left < 0:
            raise ModelTooLarge(f"the model has more than the {MAX_FIELDS} fields that are read")

    def varint(self, position: int, end: int) -> tuple[int, int]:
        """The unsigned number at a position, and where it ends."""
        value = shift = 0
        for at in range(position, min(end, position + _MOST_VARINT_BYTES)):
            byte = self.mapped[at]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF, at + 1
            shift += 7
        raise ModelCorrupt("the model is truncated: a number has no end", hint=HINT)

    def bytes(self, span: Span) -> bytes:
        """A copy of the bytes of a span."""
        return self.mapped[span.start : span.end]

    def float32(self, position: int) -> float:
        """The four bytes at a position as a number."""
        return float(_FLOAT.unpack_from(self.mapped, position)[0])


def signed(value: int) -> int:
    """A 64-bit number in two's complement, which is how protobuf stores negative ones."""
    return value - 2**64 if value >= 2**63 else value
