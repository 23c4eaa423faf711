"""What the rules of the emitter work on: values of the ONNX graph, with the element type and the sizes that are known.

Sizes are numbers where the graph fixes them and None where they follow from the inputs. A size that is computed is a
`Value` without axes, of type int64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from sterna.graph import FLOATING

if TYPE_CHECKING:
    from sterna.export.onnx_graph.builder import Builder

Shape: TypeAlias = "tuple[int | None, ...]"
Size: TypeAlias = "int | Value"


@dataclass(frozen=True, slots=True)
class Value:
    """Something that a node of the ONNX graph makes, an input or a constant.

    Attributes:
        name: in the ONNX graph.
        dtype: torch name.
        shape: sizes; None where one is not known.
    """

    name: str
    dtype: str
    shape: Shape

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def axis(self, axis: int) -> int:
        """An axis counted from the first."""
        return axis % max(1, self.rank)


Made: TypeAlias = "Size | Sequence[Value | None]"
"""What a rule gives: a value or a size, or several; None where one that is hardly ever used is not written."""

Rule: TypeAlias = "Callable[[Builder, Mapping[str, Any]], Made]"


def result_dtype(*operands: Value | bool | float) -> str:
    """The element type in which torch computes with these operands.

    A tensor with axes decides over one without, and that over a number, unless it is of a lower category
    (truth value < integer < floating).
    """
    best = ("bool", -1)
    for operand in operands:
        dtype = operand.dtype if isinstance(operand, Value) else _dtype_of_number(operand)
        rank = 2 if isinstance(operand, Value) and operand.rank else 1 if isinstance(operand, Value) else 0
        best = _stronger(best, (dtype, rank))
    return best[0]


def _stronger(one: tuple[str, int], other: tuple[str, int]) -> tuple[str, int]:
    category, other_category = _category(one[0]), _category(other[0])
    if category != other_category:
        return one if category > other_category else other
    if one[1] != other[1]:
        return one if one[1] > other[1] else other
    order = _ORDER.index
    return one if order(one[0]) >= order(other[0]) else other


def _dtype_of_number(number: bool | float) -> str:
    if isinstance(number, bool):
        return "bool"
    return "int64" if isinstance(number, int) else "float32"


def _category(dtype: str) -> int:
    return 0 if dtype == "bool" else 2 if dtype in FLOATING else 1


_ORDER = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64")
