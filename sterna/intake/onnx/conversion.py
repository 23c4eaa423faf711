"""An ONNX network on its way into a graph: what each name stands for so far, and the nodes that were made.

Tensors get their kind from what is done with them: weights, biases and scales of layers are parameters, running
statistics are buffers, everything else stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sterna.errors import ModelCorrupt, ModelTooLarge
from sterna.graph import (
    DTYPES,
    FLOATING,
    OPERATORS,
    Argument,
    Dtype,
    Node,
    TensorInfo,
    TensorKind,
    TensorRef,
    ValueRef,
)
from sterna.graph.check import MAX_DIMENSIONS, MAX_INTEGER, MAX_LIST, MAX_NODES, quoted
from sterna.intake.onnx.names import TensorNames, ValueNames
from sterna.intake.onnx.tensors import StoredTensor
from sterna.intake.onnx.values import Computed, Element, Grid, Items, Shape, Size, Stored, Value
from sterna.intake.onnx.wire import HINT

MAX_KNOWN_FLOATS: Final = 8
MAX_WORK: Final = 2**20


@dataclass(frozen=True, slots=True)
class KnownTensor:
    """A tensor of elements that the importer knows; see `StoredTensor`."""

    name: str
    dtype: str
    array: NDArray[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes."""
        return self.array.shape

    def read(self) -> NDArray[Any]:
        """The elements."""
        return self.array


@dataclass
class Conversion:
    """What was imported so far.

    Attributes:
        opset: version of the operators.
        values: by their names in the file.
        nodes: of the graph.
        tensors: that the nodes use, by their names here, in the order of first use.
        stored: where each of them lies.
    """

    opset: int
    values: dict[str, Value] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, TensorInfo] = field(default_factory=dict)
    stored: dict[str, StoredTensor] = field(default_factory=dict)
    _work: int = 0
    _bound: dict[int, str] = field(default_factory=dict)
    _known: dict[tuple[object, ...], str] = field(default_factory=dict)
    _made: dict[tuple[object, ...], ValueRef] = field(default_factory=dict)
    _sizes: dict[tuple[str, int], Size] = field(default_factory=dict)
    _fractions: set[str] = field(default_factory=set)
    _naturals: set[str] = field(default_factory=set)
    _value_names: ValueNames = field(default_factory=ValueNames)
    _tensor_names: TensorNames = field(default_factory=TensorNames)

    def find(self, name: str) -> Value:
        """What a name of the file stands for."""
        try:
            return self.values[name]
        except KeyError:
            raise ModelCorrupt(f"{quoted(name)} is used before anything makes it", hint=HINT) from None

    def work(self, elements: int) -> None:
        """Take note of elements that are computed here: a small file may not ask for much of that.

        Raises:
            ModelTooLarge: more than are computed.
        """
        self._work += elements
        if self._work > MAX_WORK:
            raise ModelTooLarge(f"the network computes more than {MAX_WORK} elements of shapes and constants")

    def name_value(self, name: str) -> str:
        """A new identifier like `name`."""
        return self._value_names.take(name)

    def emit(self, operator: str, dtype: str, shape: Shape | None, /, **arguments: Argument) -> Computed:
        """Add a node that makes one value."""
        return self.emit_several(operator, [(dtype, shape)], unpacked=False, **arguments)[0]

    def emit_several(
        self, operator: str, results: list[tuple[str, Shape | None]], /, *, unpacked: bool = True, **arguments: Argument
    ) -> tuple[Computed, ...]:
        """Add a node that makes several values, each of an element type and a shape."""
        if len(self.nodes) >= MAX_NODES:
            raise ModelTooLarge(f"the network needs more than the {MAX_NODES} nodes that are read")
        self.work(len(results))
        if any(shape is not None and len(shape) > MAX_DIMENSIONS for _, shape in results):
            raise ModelTooLarge(f"the network makes a tensor of more than {MAX_DIMENSIONS} axes")
        hint = operator.split(".")[1]
        names = tuple(self.name_value(hint) for _ in results)
        known = OPERATORS[operator].arguments
        ordered = {name: arguments[name] for name in known if name in arguments}
        assert len(ordered) == len(arguments), f"{operator} has no {arguments.keys() - ordered.keys()}"
        self.nodes.append(Node(operator, ordered, names, unpacked))
        if operator.startswith("float."):
            self._fractions.update(names)
        return tuple(
            Computed(ValueRef(name), dtype, shape) for name, (dtype, shape) in zip(names, results, strict=True)
        )

    def tensor(self, value: Value, kind: TensorKind = "constant", *, own: bool = False) -> Argument:
        """A value as an argument that takes a tensor.

        Args:
            value: whatever it is.
            kind: what a tensor of the file is here; a parameter in one place is a parameter.
            own: the node changes it, so that no other may look at it.
        """
        if isinstance(value, Computed):
            return value.ref
        if isinstance(value, Items):
            return TensorRef(self._bind_known(value)) if value.is_known else self._bind_sizes(value)
        if isinstance(value, Grid):
            flat = self._bind_sizes(Items(value.elements, value.dtype, scalar=False))
            return self.emit("aten.reshape.default", value.dtype, value.shape, self=flat, shape=value.shape).ref
        key = id(value.tensor)
        if own or key not in self._bound:
            name = self._bind(value.tensor, kind)
            if own:
                return TensorRef(name)
            self._bound[key] = name
        name = self._bound[key]
        if kind == "parameter":
            self.tensors[name] = _info(kind, value.tensor)
        return TensorRef(name)

    def operand(self, value: Value) -> Argument:
        """A value as one side of elementwise arithmetic: a number where it is one, else a tensor.

        A vector, whatever its other axes of size 1 are called, is a bias or a scale, and a parameter.
        """
        if isinstance(value, Items) and len(value.elements) == 1 and len(value.shape) == 0:
            return value.elements[0]
        if isinstance(value, Stored) and value.dtype in FLOATING:
            axes = sum(size > 1 for size in value.shape)
            return self.tensor(value, "parameter" if axes == 1 else "constant")
        return self.tensor(value)

    def items(self, value: Value | None) -> Items | None:
        """The elements of a value, None where they are not known or too many."""
        if value is None or isinstance(value, Items):
            return value
        if isinstance(value, Computed | Grid) or len(value.shape) > 1 or value.dtype == "bfloat16":
            return None
        most = MAX_KNOWN_FLOATS if value.dtype in FLOATING else MAX_LIST
        if prod(value.shape) > most:
            return None
        self.work(prod(value.shape))
        return Items(tuple(value.tensor.read().reshape(-1).tolist()), value.dtype, value.shape == ())

    def size(self, value: Value, axis: int) -> Size:
        """The size of a value along an axis, which counts from 0: a number, or what computes it."""
        shape = value.shape
        if shape is not None and not -len(shape) <= axis < len(shape):
            raise ModelCorrupt(f"the network asks for axis {axis} of a tensor with {len(shape)} axes", hint=HINT)
        if shape is not None and (known := shape[axis]) is not None:
            return known
        assert isinstance(value, Computed)
        key = (value.ref.name, axis)
        if key not in self._sizes:
            size = self.emit("aten.sym_size.int", "int64", (), self=value.ref, dim=axis).ref
            self._naturals.add(size.name)
            self._sizes[key] = size
        return self._sizes[key]

    def is_fraction(self, element: Element) -> bool:
        """Whether an element may be other than whole: a float, or one that is computed from sizes."""
        if isinstance(element, ValueRef):
            return element.name in self._fractions
        return isinstance(element, float) and not element.is_integer()

    def is_natural(self, element: Element) -> bool:
        """Whether an element is a whole number that is known not to be negative."""
        if isinstance(element, ValueRef):
            return element.name in self._naturals
        return isinstance(element, int) and element >= 0

    def calculate(self, operator: str, a: Size, b: Size) -> Size:
        """`add`, `sub`, `mul`, `floordiv`, `mod`, `max` or `min` of two sizes."""
        if isinstance(a, int) and isinstance(b, int):
            return _calculate(operator, a, b)
        if b == 1 and operator in {"mul", "floordiv"}:
            return a
        if (a == 1 and operator == "mul") or (a == 0 and operator == "add"):
            return b
        if b == 0 and operator in {"add", "sub"}:
            return a
        result = self.emit(f"int.{operator}", "int64", (), a=a, b=b).ref
        if operator != "sub" and self.is_natural(a) and self.is_natural(b):
            self._naturals.add(result.name)
        return result

    def _bind(self, tensor: StoredTensor, kind: TensorKind) -> str:
        name = self._tensor_names.take(tensor.name)
        self.tensors[name] = _info(kind, tensor)
        self.stored[name] = tensor
        return name

    def _bind_sizes(self, items: Items) -> ValueRef:
        """Sizes as data: a tensor that is made of numbers when the network runs."""
        key = (items.elements, items.dtype, items.scalar)
        if key not in self._made:
            scalars = tuple(
                self.emit("aten.scalar_tensor.default", items.dtype, (), s=element, dtype=Dtype(items.dtype)).ref
                for element in items.elements
            )
            stacked = partial(self.emit, "aten.stack.default", items.dtype, items.shape, dim=0)
            self._made[key] = scalars[0] if items.scalar else stacked(tensors=scalars).ref
        return self._made[key]

    def _bind_known(self, items: Items) -> str:
        key = (items.elements, items.dtype, items.scalar)
        if key not in self._known:
            array = np.array(items.elements, DTYPES[items.dtype]).reshape(items.shape)
            self._known[key] = self._bind(KnownTensor("constant", items.dtype, array), "constant")
        return self._known[key]


_ON_SIZES: Final[Mapping[str, Callable[[int, int], int]]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "floordiv": lambda a, b: a // b,
    "mod": lambda a, b: a % b,
    "max": max,
    "min": min,
}


def _calculate(operator: str, a: int, b: int) -> int:
    if operator in {"floordiv", "mod"} and b == 0:
        raise ModelCorrupt("the network divides a size by zero", hint=HINT)
    result = _ON_SIZES[operator](a, b)
    if abs(result) > MAX_INTEGER:
        raise ModelCorrupt("the network computes a size of more than 64 bits", hint=HINT)
    return result


def _info(kind: TensorKind, tensor: StoredTensor) -> TensorInfo:
    if kind == "parameter" and tensor.dtype not in FLOATING:
        kind = "constant"
    return TensorInfo(kind, tensor.dtype, tensor.shape)
