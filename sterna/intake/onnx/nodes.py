"""Nodes of an ONNX graph: the operator by its name, names of values, and attributes asked for by name and type.

What nobody asks for is refused: an attribute that is not understood may change what a node computes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

from sterna.errors import ModelCorrupt, OperatorUnsupported
from sterna.graph.check import quoted
from sterna.intake.onnx.messages import Message
from sterna.intake.onnx.tensors import OnnxTensor, read_tensor
from sterna.intake.onnx.wire import HINT, Span, Wire

DOMAINS: Final = frozenset({"", "ai.onnx"})
MAX_ATTRIBUTES: Final = 64

CONDITION: Final = "If"


@dataclass(frozen=True, slots=True)
class Branch:
    """A network within a condition, which is read where somebody asks for it.

    Attributes:
        span: where it lies.
    """

    span: Span


AttributeValue: TypeAlias = (
    "float | int | str | OnnxTensor | Branch | tuple[int, ...] | tuple[float, ...] | tuple[str, ...]"
)
_T = TypeVar("_T")
_GRAPH: Final = 5
_SUBGRAPHS: Final = frozenset({_GRAPH, 10})


@dataclass
class Attributes:
    """The attributes of one node.

    Attributes:
        operator: of the node, for messages.
    """

    operator: str
    _values: Mapping[str, AttributeValue]
    _asked: set[str] = field(default_factory=set)

    def has(self, name: str) -> bool:
        """Whether the file gives it."""
        return name in self._values

    def integer(self, name: str, default: int) -> int:
        """A whole number."""
        return self._get(name, int, default)

    def number(self, name: str, default: float) -> float:
        """A float."""
        return self._get(name, float, default)

    def text(self, name: str, default: str) -> str:
        """A text."""
        return self._get(name, str, default)

    def tensor(self, name: str) -> OnnxTensor:
        """A tensor, which must be there."""
        return self._get(name, OnnxTensor, None)

    def integers(self, name: str) -> tuple[int, ...] | None:
        """A list of whole numbers, None where the file does not give it."""
        return tuple(self._typed(name, item, int) for item in self._list(name)) if self.has(name) else None

    def numbers(self, name: str) -> tuple[float, ...] | None:
        """A list of floats, None where the file does not give it."""
        return tuple(self._typed(name, item, float) for item in self._list(name)) if self.has(name) else None

    def texts(self, name: str) -> tuple[str, ...] | None:
        """A list of texts, None where the file does not give it."""
        return tuple(self._typed(name, item, str) for item in self._list(name)) if self.has(name) else None

    def ignore(self, *names: str) -> None:
        """These change nothing here."""
        self._asked.update(names)

    def check_all_asked(self) -> None:
        """Raise unless every attribute that the file gives was asked for."""
        unread = sorted(self._values.keys() - self._asked)
        if unread:
            raise OperatorUnsupported(f"{self.operator} has the attribute {quoted(unread[0])}, which is not read")

    def _get(self, name: str, kind: type[_T], default: _T | None) -> _T:
        self._asked.add(name)
        if name not in self._values and default is not None:
            return default
        if name not in self._values:
            raise ModelCorrupt(f"{self.operator} has no attribute {name!r}", hint=HINT)
        return self._typed(name, self._values[name], kind)

    def _list(self, name: str) -> tuple[object, ...]:
        self._asked.add(name)
        value = self._values[name]
        return value if isinstance(value, tuple) else (value,)

    def _typed(self, name: str, value: object, kind: type[_T]) -> _T:
        if not isinstance(value, kind):
            raise ModelCorrupt(f"{self.operator} has a {type(value).__name__} as {name!r}", hint=HINT)
        return value


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """One node.

    Attributes:
        operator: its name in the domain ai.onnx.
        inputs: names of values, empty for one that is left out.
        outputs: likewise.
        attributes: by name.
    """

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, AttributeValue]


def read_node(wire: Wire, span: Span) -> OnnxNode:
    """Read one NodeProto.

    Raises:
        OperatorUnsupported: it belongs to another domain, or holds networks of its own.
        ModelCorrupt, ModelUnsafe, ModelTooLarge: as `read_tensor`.
    """
    message = Message(wire, span, "a node")
    operator, domain = message.text(4), message.text(7)
    if domain not in DOMAINS:
        raise OperatorUnsupported(
            f"the network uses {quoted(operator)} of the domain {quoted(domain)}; read are operators of ai.onnx",
            hint="Export it without the custom or fused operators of one runtime.",
        )
    attributes: dict[str, AttributeValue] = {}
    for item in message.spans(5):
        name, value = _read_attribute(wire, item, operator)
        if name in attributes or len(attributes) == MAX_ATTRIBUTES:
            raise ModelCorrupt(f"{quoted(operator)} has too many attributes, or {quoted(name)} twice", hint=HINT)
        attributes[name] = value
    return OnnxNode(operator, message.texts(1), message.texts(2), attributes)


def _read_attribute(wire: Wire, span: Span, operator: str) -> tuple[str, AttributeValue]:
    message = Message(wire, span, "an attribute")
    name, kind = message.text(1), message.integer(20)
    branch = message.span(6)
    if operator == CONDITION and kind == _GRAPH and branch is not None and not message.has(11):
        return name, Branch(branch)
    if kind in _SUBGRAPHS or message.has(6) or message.has(11):
        raise OperatorUnsupported(
            f"{quoted(operator)} holds a network of its own, which is not read",
            hint="Export the network without loops.",
        )
    if message.has(21):
        raise OperatorUnsupported(f"{quoted(operator)} belongs to a function, and functions are not read")
    return name, _attribute_value(message, kind, f"{operator}.{name}")


def _attribute_value(message: Message, kind: int, name: str) -> AttributeValue:
    span = message.span(5)
    if kind == 4 and span is not None:
        return read_tensor(message.wire, span, name)
    if kind not in _READERS:
        raise OperatorUnsupported(f"{quoted(name)} is an attribute of the type {kind}, which is not read")
    return _READERS[kind](message)


_READERS: Final[Mapping[int, Callable[[Message], AttributeValue]]] = {
    1: lambda message: message.float32(2),
    2: lambda message: message.integer(3),
    3: lambda message: message.text(4),
    6: lambda message: message.floats(7),
    7: lambda message: message.integers(8),
    8: lambda message: message.texts(9),
}
