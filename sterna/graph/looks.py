"""Tensors of the network that are looked at before they are used: transposed as in `x @ w.t()`, cut in parts, cast.

A look keeps the elements as they are and says which axis of the stored tensor is which. A scale for each output channel
then lies along another axis of the stored tensor than along the one that the operator sees, or an operator sees a part
of the channels, as where packed attention cuts its one weight in three.

| followed | axes |
|---|---|
| `t`, `T`, `mT`, `transpose`, `swapaxes`, `swapdims`, `permute` | in another order |
| `chunk`, `split`, `split_with_sizes`, `tensor_split`, `slice`, `narrow` | as they were |
| `select`, `unbind`; `unsqueeze` | one fewer; one more, which is none of the tensor's |
| `detach`, `alias`, `contiguous`, `clone`, `to` | as they were |

Views that join or divide axes (`view`, `reshape`, `flatten`) are not followed: a tensor that is used through them is
used otherwise than as a weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sterna.graph.network import Argument, Graph, Node, TensorRef, ValueRef

_TRANSPOSES: Final = frozenset({"aten.t.default", "aten.numpy_T.default", "aten.mT.default"})
_SWAPS: Final = {
    "aten.transpose.int": ("dim0", "dim1"),
    "aten.swapdims.default": ("dim0", "dim1"),
    "aten.swapaxes.default": ("axis0", "axis1"),
}
_SAME: Final = frozenset(
    {
        "aten.chunk.default", "aten.split.Tensor", "aten.split.sizes", "aten.split_with_sizes.default",
        "aten.tensor_split.sections", "aten.tensor_split.indices", "aten.slice.Tensor", "aten.narrow.default",
        "aten.detach.default", "aten.alias.default", "aten.contiguous.default", "aten.clone.default",
        "aten.to.dtype", "aten.to.dtype_layout",
    }
)  # fmt: skip
_FEWER: Final = frozenset({"aten.select.int", "aten.unbind.int"})

ADDED: Final = -1


@dataclass(frozen=True, slots=True)
class Seen:
    """A tensor of the network as an operator sees it.

    Attributes:
        name: of the tensor.
        axes: for each axis that the operator sees, which one of the stored tensor it is, or `ADDED`.
    """

    name: str
    axes: tuple[int, ...]

    def axis(self, index: int) -> int:
        """Which axis of the stored tensor the operator sees at `index`; a tensor of too few axes has none but 0."""
        return self.axes[index % len(self.axes)] if self.axes else 0


class SeenTensors:
    """Which values of a graph are its own tensors, looked at."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._looks: dict[str, Seen] = {}

    def find(self, argument: Argument) -> Seen | None:
        """The tensor that an argument is, None where it is something computed."""
        if isinstance(argument, TensorRef):
            return Seen(argument.name, tuple(range(len(self._graph.tensors[argument.name].shape))))
        return self._looks.get(argument.name) if isinstance(argument, ValueRef) else None

    def shape(self, seen: Seen) -> tuple[int, ...]:
        """The sizes that an operator sees, those of the whole tensor where it sees a part of it."""
        stored = self._graph.tensors[seen.name].shape
        return tuple(1 if axis == ADDED else stored[axis] for axis in seen.axes)

    def follow(self, node: Node) -> bool:
        """Take note of a node that only looks at a tensor; False where it does anything else."""
        seen = self.find(node.arguments.get("self"))
        if seen is None:
            return False
        axes = _axes(node, seen.axes)
        if axes is None:
            return False
        for output in node.outputs:
            self._looks[output] = Seen(seen.name, axes)
        return True


def _axes(node: Node, axes: tuple[int, ...]) -> tuple[int, ...] | None:
    """The axes of what a node gives, None where it does more than look."""
    if node.operator in _SAME:
        return axes
    if node.operator in _FEWER:
        dim = _dims(axes, node.arguments.get("dim", 0))
        return None if dim is None else tuple(axis for index, axis in enumerate(axes) if index != dim[0])
    if node.operator == "aten.unsqueeze.default":
        dim = _dims((*axes, ADDED), node.arguments.get("dim"))
        return None if dim is None else (*axes[: dim[0]], ADDED, *axes[dim[0] :])
    order = None if len(node.outputs) != 1 or node.unpacked else _order(node, axes)
    return None if order is None else tuple(axes[index] for index in order)


def _order(node: Node, axes: tuple[int, ...]) -> tuple[int, ...] | None:
    """Where a node takes its axes from, None where it does not only put them in another order."""
    if node.operator in _TRANSPOSES:
        several = len(axes) > 2 and node.operator != "aten.mT.default"
        return None if several or len(axes) < 2 else _swapped(axes, (len(axes) - 2, len(axes) - 1))
    if node.operator in _SWAPS:
        return _swapped(axes, _dims(axes, *(node.arguments.get(name) for name in _SWAPS[node.operator])))
    if node.operator == "aten.permute.default":
        given = node.arguments.get("dims")
        dims = _dims(axes, *given) if isinstance(given, tuple) else None
        return dims if dims is not None and sorted(dims) == list(range(len(axes))) else None
    return None


def _swapped(axes: tuple[int, ...], pair: tuple[int, ...] | None) -> tuple[int, ...] | None:
    if pair is None:
        return None
    order = list(range(len(axes)))
    order[pair[0]], order[pair[1]] = pair[1], pair[0]
    return tuple(order)


def _dims(axes: tuple[int, ...], *given: Argument) -> tuple[int, ...] | None:
    """Axes counted from the first, None where they are no axes."""
    count = len(axes)
    dims = tuple(dim % count for dim in given if type(dim) is int and -count <= dim < count)
    return dims if len(dims) == len(given) else None
