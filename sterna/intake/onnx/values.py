"""What the values of an ONNX network are while it is imported.

    Computed    something a node makes when the network runs
    Stored      a tensor of the file
    Items       a few elements that are known, or sizes that are known by name
    Grid        sizes that are known by name, along two axes or more

Exporters compute shapes in the network itself: Shape, Gather, Unsqueeze, Concat, Reshape. Such arithmetic is done here
on `Items`, whose elements are numbers or references to `sym_size` nodes, so that what is left is `reshape(x, (s0, 8))`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from sterna.graph import ValueRef
from sterna.intake.onnx.tensors import StoredTensor

Shape: TypeAlias = "tuple[int | None, ...]"
Size: TypeAlias = "int | ValueRef"
Element: TypeAlias = "bool | int | float | ValueRef"


@dataclass(frozen=True, slots=True)
class Computed:
    """What a node of the graph makes.

    Attributes:
        ref: the value.
        dtype: torch name of its element type.
        shape: sizes, None for one that may differ or is not known; None in all where even their number is not known.
        origin: the same elements as a tensor that can be read, where the node only cuts and joins tensors of the file.
        full: how many elements it has, where it is a vector of which none is 0, as `ConstantOfShape` makes.
    """

    ref: ValueRef
    dtype: str
    shape: Shape | None
    origin: StoredTensor | None = None
    full: Size | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor of the file that nothing has been done to.

    Attributes:
        tensor: what it is.
    """

    tensor: StoredTensor

    @property
    def dtype(self) -> str:
        """Torch name of the element type."""
        return self.tensor.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes."""
        return self.tensor.shape


@dataclass(frozen=True, slots=True)
class Items:
    """A tensor of no or one axis whose elements are known.

    Attributes:
        elements: numbers, or references to sizes.
        dtype: torch name of the element type.
        scalar: whether it has no axis; then it has one element.
    """

    elements: tuple[Element, ...]
    dtype: str
    scalar: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes."""
        return () if self.scalar else (len(self.elements),)

    @property
    def is_known(self) -> bool:
        """Whether every element is a number."""
        return not any(isinstance(element, ValueRef) for element in self.elements)


@dataclass(frozen=True, slots=True)
class Grid:
    """A tensor of two axes or more that holds sizes of dynamic axes; exporters shuffle pads and repetitions so.

    Attributes:
        elements: whole numbers, or references to sizes, row by row.
        dtype: torch name of the element type.
        shape: sizes.
    """

    elements: tuple[Element, ...]
    dtype: str
    shape: tuple[int, ...]


Value: TypeAlias = "Computed | Stored | Items | Grid"


def resized(shape: Shape | None, axis: int, size: Size | None) -> Shape | None:
    """The shape with another size along an axis, None where there is no such axis."""
    if shape is None or not -len(shape) <= axis < len(shape):
        return None
    axis %= len(shape)
    return (*shape[:axis], size if isinstance(size, int) else None, *shape[axis + 1 :])


def broadcast(*shapes: Shape | None) -> Shape | None:
    """The shape of an elementwise result; sizes that do not fit are left to the first run."""
    result: list[int | None] = []
    for shape in shapes:
        if shape is None:
            return None
        padded = (*(1,) * (len(result) - len(shape)), *shape)
        result = [*(1,) * (len(shape) - len(result)), *result]
        result = [_wider(one, other) for one, other in zip(result, padded, strict=True)]
    return tuple(result)


def _wider(one: int | None, other: int | None) -> int | None:
    if one == 1:
        return other
    if other in {1, one}:
        return one
    return one if other is None else other if one is None else None
