"""One node of an ONNX network as the functions see it that turn it into nodes of the graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from sterna.errors import ModelCorrupt, OperatorUnsupported
from sterna.graph import Argument
from sterna.intake.onnx.conversion import Conversion
from sterna.intake.onnx.nodes import Attributes
from sterna.intake.onnx.values import Computed, Items, Shape, Size, Stored, Value
from sterna.intake.onnx.wire import HINT


@dataclass(frozen=True, slots=True)
class Call:
    """One node.

    Attributes:
        graph: what was imported so far, to which nodes are added.
        operator: its name in ai.onnx.
        inputs: None for one that is left out.
        attributes: that the file gives.
        outputs: how many values somebody names.
    """

    graph: Conversion
    operator: str
    inputs: tuple[Value | None, ...]
    attributes: Attributes
    outputs: int

    @property
    def opset(self) -> int:
        """Version of the operators."""
        return self.graph.opset

    def given(self, index: int) -> Value | None:
        """An input that may be left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def input(self, index: int) -> Value:
        """An input that must be there."""
        value = self.given(index)
        if value is None:
            raise ModelCorrupt(f"{self.operator} has no input {index}", hint=HINT)
        return value

    def rank(self, value: Value) -> int:
        """How many axes a value has.

        Raises:
            OperatorUnsupported: the file does not tell.
        """
        if value.shape is None:
            raise self.refuse("the number of axes of its input is not known")
        return len(value.shape)

    def axis(self, axis: int, rank: int) -> int:
        """An axis counted from 0."""
        if not -rank <= axis < rank:
            raise ModelCorrupt(f"{self.operator} has the axis {axis} for {rank} axes", hint=HINT)
        return axis % rank

    def sizes(self, index: int) -> tuple[Size, ...] | None:
        """An input of whole numbers whose elements are known, None where it is left out."""
        value = self.given(index)
        if value is None:
            return None
        items = self.graph.items(value)
        if items is None:
            raise self.refuse("it takes a shape or axes that the network computes from its data")
        if any(isinstance(element, float | bool) for element in items.elements):
            raise ModelCorrupt(f"{self.operator} has numbers that are not whole as input {index}", hint=HINT)
        return tuple(element for element in items.elements if not isinstance(element, float))

    def integers(self, index: int) -> tuple[int, ...] | None:
        """As `sizes`, where sizes of dynamic axes do not serve."""
        sizes = self.sizes(index)
        if sizes is None:
            return None
        known = tuple(size for size in sizes if isinstance(size, int))
        if len(known) != len(sizes):
            raise self.refuse("it takes axes that depend on the size of its inputs")
        return known

    def numbers(self, index: int) -> tuple[float, ...] | None:
        """An input of floats whose elements are known, None where it is left out or empty."""
        value = self.given(index)
        if value is None:
            return None
        items = self.graph.items(value)
        if items is None or not items.is_known:
            raise self.refuse("it takes numbers that the network computes from its data")
        return tuple(float(element) for element in items.elements if isinstance(element, int | float)) or None

    def axes(self, index: int, *, as_input_from: int) -> tuple[int, ...] | None:
        """Axes, which are an attribute and, from some opset on, an input; None where they are left out."""
        if self.opset >= as_input_from:
            return self.integers(index)
        return self.attributes.integers("axes")

    def like(self, operator: str, value: Value, /, **arguments: Argument) -> Computed:
        """Add a node whose result has the type and shape of a value."""
        return self.graph.emit(operator, value.dtype, value.shape, **arguments)

    def refuse(self, why: str) -> OperatorUnsupported:
        """The refusal of this node."""
        return OperatorUnsupported(
            f"the ONNX operator {self.operator} is not read as it is used here: {why}",
            hint="Simplify the model (constant folding, fixed shapes but for the first axis), or export a .pt2.",
        )


Converter: TypeAlias = "Callable[[Call], Value | tuple[Value, ...]]"

__all__ = ["Call", "Computed", "Converter", "Items", "Shape", "Size", "Stored", "Value"]
