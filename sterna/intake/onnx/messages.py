"""The messages of ONNX that a network is made of, as the wire has them (onnx.proto, IR version 3 and later).

    ModelProto      7 graph, 8 opset_import, 20 training_info, 25 functions
    GraphProto      1 node, 5 initializer, 11 input, 12 output, 13 value_info, 15 sparse_initializer
    NodeProto       1 input, 2 output, 3 name, 4 op_type, 5 attribute, 7 domain
    AttributeProto  1 name, 2 f, 3 i, 4 s, 5 t, 6 g, 7 floats, 8 ints, 9 strings, 20 type, 21 ref_attr_name
    TensorProto     1 dims, 2 data_type, 4 … 11 the elements, 8 name, 9 raw_data, 13 external_data, 14 data_location
    ValueInfoProto  1 name, 2 type

Everything else (documentation, metadata, producers) is stepped over. protobuf lets a single field come twice and takes
the last, or merges; here that is refused, since two readers of such a file could see two networks.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from sterna.errors import ModelCorrupt, ModelTooLarge
from sterna.graph.check import MAX_LIST, MAX_NAME_CHARACTERS
from sterna.intake.onnx.wire import FOUR_BYTES, HINT, LENGTH, VARINT, Span, Wire, signed

MAX_TEXT_BYTES: Final = 4 * MAX_NAME_CHARACTERS

Content: TypeAlias = "int | Span"
_T = TypeVar("_T")


class Message:
    """One message, taken apart into its fields.

    Args:
        wire: the file.
        span: where the message lies.
        what: it, in words.
    """

    def __init__(self, wire: Wire, span: Span, what: str) -> None:
        self.wire = wire
        self._what = what
        self._fields: dict[int, list[tuple[int, Content]]] = {}
        for number, kind, first, second in wire.fields(span):
            content = first if kind == VARINT else Span(first, second)
            self._fields.setdefault(number, []).append((kind, content))

    def has(self, number: int) -> bool:
        """Whether the field is there at all."""
        return number in self._fields

    def spans(self, number: int) -> list[Span]:
        """Every occurrence of a field of bytes, text or messages."""
        found = self._fields.get(number, [])
        if any(kind != LENGTH for kind, _ in found):
            raise self.corrupt(number)
        return [content for _, content in found if isinstance(content, Span)]

    def span(self, number: int) -> Span | None:
        """The content of a field that may come once."""
        return next(iter(self._once(number, self.spans(number))), None)

    def text(self, number: int) -> str:
        """A text that may come once, empty where it does not."""
        span = self.span(number)
        return "" if span is None else self._text(span)

    def texts(self, number: int) -> tuple[str, ...]:
        """Every occurrence of a text."""
        return tuple(self._text(span) for span in self.spans(number))

    def integer(self, number: int, default: int = 0) -> int:
        """A number that may come once."""
        found = self._once(number, self._fields.get(number, []))
        if not found:
            return default
        [(kind, content)] = found
        if kind != VARINT or not isinstance(content, int):
            raise self.corrupt(number)
        return signed(content)

    def integers(self, number: int) -> tuple[int, ...]:
        """A list of numbers, packed or not."""
        values: list[int] = []
        for kind, content in self._fields.get(number, []):
            if isinstance(content, int):
                values.append(signed(content))
                continue
            if kind != LENGTH:
                raise self.corrupt(number)
            position = content.start
            while position < content.end and len(values) <= MAX_LIST:
                value, position = self.wire.varint(position, content.end)
                values.append(signed(value))
        self._check_length(len(values))
        self.wire.count(len(values))
        return tuple(values)

    def float32(self, number: int) -> float:
        """A 32-bit float that may come once, 0 where it does not."""
        found = self._once(number, self._fields.get(number, []))
        if not found:
            return 0.0
        [(kind, content)] = found
        if kind != FOUR_BYTES or not isinstance(content, Span):
            raise self.corrupt(number)
        return self.wire.float32(content.start)

    def floats(self, number: int) -> tuple[float, ...]:
        """A list of 32-bit floats, packed or not."""
        values: list[float] = []
        for kind, content in self._fields.get(number, []):
            if not isinstance(content, Span) or kind not in {LENGTH, FOUR_BYTES} or content.size_bytes % 4:
                raise self.corrupt(number)
            self._check_length(content.size_bytes // 4)
            values.extend(value for (value,) in struct.iter_unpack("<f", self.wire.bytes(content)))
        self._check_length(len(values))
        self.wire.count(len(values))
        return tuple(values)

    def corrupt(self, number: int) -> ModelCorrupt:
        """The refusal of a field that is not what it should be."""
        return ModelCorrupt(f"{self._what} has something else than belongs there as field {number}", hint=HINT)

    def _once(self, number: int, found: list[_T]) -> list[_T]:
        if len(found) > 1:
            raise ModelCorrupt(f"{self._what} has field {number} twice", hint=HINT)
        return found

    def _text(self, span: Span) -> str:
        if span.size_bytes > MAX_TEXT_BYTES:
            raise ModelTooLarge(
                f"{self._what} has a text of {span.size_bytes} bytes; at most {MAX_TEXT_BYTES} are read"
            )
        try:
            return self.wire.bytes(span).decode("utf-8")
        except UnicodeDecodeError:
            raise ModelCorrupt(f"{self._what} has a text that is not UTF-8", hint=HINT) from None

    def _check_length(self, length: int) -> None:
        if length > MAX_LIST:
            raise ModelTooLarge(f"{self._what} has a list of {length} numbers; at most {MAX_LIST} are read")


@dataclass(frozen=True, slots=True)
class ValueInfo:
    """What the file says of a value.

    Attributes:
        name: of the value.
        element_type: number of its element type, 0 where it is no tensor.
        shape: sizes, None for one that may differ; None in all where the file does not say.
    """

    name: str
    element_type: int
    shape: tuple[int | None, ...] | None


def read_value_info(wire: Wire, span: Span) -> ValueInfo:
    """Read one ValueInfoProto."""
    message = Message(wire, span, "a value of the network")
    name, type_span = message.text(1), message.span(2)
    tensor_span = None if type_span is None else Message(wire, type_span, "a type").span(1)
    if tensor_span is None:
        return ValueInfo(name, 0, None)
    tensor = Message(wire, tensor_span, "the type of a tensor")
    shape_span = tensor.span(2)
    shape = None if shape_span is None else _shape(wire, shape_span)
    return ValueInfo(name, tensor.integer(1), shape)


def _shape(wire: Wire, span: Span) -> tuple[int | None, ...]:
    sizes: list[int | None] = []
    for dimension in Message(wire, span, "a shape").spans(1):
        form = Message(wire, dimension, "a size")
        size = form.integer(1) if form.has(1) else None
        sizes.append(size if size is None or size >= 0 else None)  # some exporters write −1 for "any"
    return tuple(sizes)
