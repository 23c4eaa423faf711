"""Tensors of an ONNX file: what they are is known from their headers, their elements are read when somebody asks.

Elements lie in `raw_data` or in a packed list of floats as they are in memory, and are mapped; in a packed list of
varints they take one to ten bytes each, and are decoded. A tensor whose elements lie in another file is refused,
whatever that file is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from sterna.errors import ModelCorrupt, ModelTooLarge, ModelUnsafe, OperatorUnsupported
from sterna.graph import DTYPES
from sterna.graph.check import check_shape, quoted
from sterna.intake.onnx.messages import Message
from sterna.intake.onnx.wire import HINT, Span, Wire

MAX_VARINT_BYTES: Final = 2**20
ELEMENT_TYPES: Final[Mapping[int, str]] = {
    1: "float32",
    2: "uint8",
    3: "int8",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    16: "bfloat16",
}
_RAW: Final = 9
_LISTS: Final[Mapping[str, int]] = {"float32": 4, "float64": 10, "int64": 7}
_OTHER_LISTS: Final = 5
_ALL_LISTS: Final = (4, 5, 6, 7, 10, 11)
_EXTERNAL: Final = 1


class StoredTensor(Protocol):
    """A tensor whose elements lie in the file."""

    @property
    def name(self) -> str:
        """In the file."""

    @property
    def dtype(self) -> str:
        """Torch name of the element type."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes."""

    def read(self) -> NDArray[Any]:
        """The elements, perhaps mapped and read-only; for bfloat16 their bit patterns."""


@dataclass(frozen=True, slots=True)
class OnnxTensor:
    """A tensor as the file has it; see `StoredTensor`.

    Attributes:
        content: where the elements lie, None where there are none.
        varints: whether they lie there as varints.
    """

    wire: Wire
    name: str
    dtype: str
    shape: tuple[int, ...]
    content: Span | None
    varints: bool

    def read(self) -> NDArray[Any]:
        """The elements."""
        dtype, count = DTYPES[self.dtype], prod(self.shape)
        if self.content is None:
            return np.zeros(self.shape, dtype)
        if self.varints:
            packed = np.frombuffer(self.wire.bytes(self.content), np.uint8)
            return _narrowed(_decode(packed, count, self.name), dtype, self.name).reshape(self.shape)
        return np.frombuffer(self.wire.mapped, dtype, count, self.content.start).reshape(self.shape)


def read_tensor(wire: Wire, span: Span, name: str | None = None) -> OnnxTensor:
    """Read one TensorProto without its elements.

    Args:
        wire: the file.
        span: where the message lies.
        name: what to call it instead of its own name.

    Raises:
        ModelUnsafe: its elements lie in another file.
        OperatorUnsupported: an element type that is not read.
        ModelCorrupt: it has more or fewer elements than its shape says.
        ModelTooLarge: its shape is one that no array has.
    """
    message = Message(wire, span, "a tensor")
    name = message.text(8) if name is None else name
    if message.has(13) or message.integer(14) == _EXTERNAL:
        raise ModelUnsafe(
            f"the elements of {quoted(name)} lie in another file, and only one file is read",
            hint="Save the model as one file: onnx.save(model, path, save_as_external_data=False), or"
            " torch.onnx.export(…, external_data=False).",
        )
    if message.has(3):
        raise ModelCorrupt(f"{quoted(name)} comes in segments, which are not read", hint=HINT)
    dtype, shape = element_type(message.integer(2), name), message.integers(1)
    check_shape(name, shape, ModelCorrupt, hint=HINT)
    content, varints = _content(message, dtype, name)
    _check_size(name, shape, dtype, content, varints=varints)
    return OnnxTensor(wire, name, dtype, shape, content, varints)


def element_type(number: int, name: str) -> str:
    """The torch name of an element type that the file gives as a number.

    Raises:
        OperatorUnsupported: a type that is not read.
    """
    if number not in ELEMENT_TYPES:
        raise OperatorUnsupported(
            f"{quoted(name)} has the ONNX element type number {number}; read are {', '.join(ELEMENT_TYPES.values())}",
            hint="Export the network in floating point, before it is quantised.",
        )
    return ELEMENT_TYPES[number]


def _content(message: Message, dtype: str, name: str) -> tuple[Span | None, bool]:
    """Where the elements lie, and whether as varints."""
    present = [number for number in (_RAW, *_ALL_LISTS) if message.has(number)]
    own = _LISTS.get(dtype, _OTHER_LISTS)
    if len(present) > 1 or not set(present) <= {_RAW, own}:
        raise ModelCorrupt(f"{quoted(name)} has its elements where those of {dtype} do not belong", hint=HINT)
    if not present:
        return None, False
    return message.span(present[0]), present[0] != _RAW and dtype not in {"float32", "float64"}


def _check_size(name: str, shape: tuple[int, ...], dtype: str, content: Span | None, *, varints: bool) -> None:
    count, found = prod(shape), 0 if content is None else content.size_bytes
    if varints:
        if found > MAX_VARINT_BYTES:
            raise ModelTooLarge(
                f"{quoted(name)} has {found} bytes of packed numbers; at most {MAX_VARINT_BYTES} are read",
                hint="Store it as raw_data, as exporters do.",
            )
        fits = count <= found <= 10 * count
    else:
        fits = found == count * DTYPES[dtype].itemsize
    if not fits:
        raise ModelCorrupt(
            f"{quoted(name)} has {found} bytes, and its shape {shape} of {dtype} needs others", hint=HINT
        )


def _decode(packed: NDArray[np.uint8], count: int, name: str) -> NDArray[np.int64]:
    """Varints as numbers: byte k of each adds its seven bits, shifted by 7k."""
    ends = np.flatnonzero(packed < 0x80)
    if len(ends) != count or (count and ends[-1] != len(packed) - 1):
        raise ModelCorrupt(f"{quoted(name)} has {len(ends)} elements; its shape says {count}", hint=HINT)
    starts = np.concatenate([[0], ends[:-1] + 1]) if count else ends
    lengths = ends - starts + 1
    if count and lengths.max() > 10:
        raise ModelCorrupt(f"{quoted(name)} has a number of more than ten bytes", hint=HINT)
    values = np.zeros(count, np.uint64)
    for byte in range(int(lengths.max(initial=0))):
        longer = lengths > byte
        values[longer] |= (packed[starts[longer] + byte].astype(np.uint64) & np.uint64(0x7F)) << np.uint64(7 * byte)
    return values.view(np.int64)


def _narrowed(values: NDArray[np.int64], dtype: np.dtype[Any], name: str) -> NDArray[Any]:
    """Numbers as the type that they stand for; float16 and bfloat16 are given by their bits."""
    if dtype == np.int64:
        return values
    bits = np.dtype(np.uint16) if dtype.itemsize == 2 and dtype.kind in "fu" else dtype
    least, most = (0, 1) if dtype.kind == "b" else (int(np.iinfo(bits).min), int(np.iinfo(bits).max))
    if values.size and (values.min() < least or values.max() > most):
        raise ModelCorrupt(f"{quoted(name)} has an element that its type does not hold", hint=HINT)
    return values.astype(bits).view(dtype)
