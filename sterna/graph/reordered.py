"""Tensors of the network whose axes are put in another order before they are used, as in `x @ w.t()`.

Followed are `t`, `T`, `mT`, `transpose` and `permute` of tensors with two axes, and these of one another. A scale for
each output channel then lies along another axis of the stored tensor than along the one that the operator sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sterna.graph.network import Argument, Graph, Node, TensorRef, ValueRef

_TRANSPOSES: Final = frozenset({"aten.t.default", "aten.numpy_T.default", "aten.mT.default"})


@dataclass(frozen=True, slots=True)
class Seen:
    """A tensor of the network as an operator sees it.

    Attributes:
        name: of the tensor.
        axes: for each axis that the operator sees, which one of the stored tensor it is.
    """

    name: str
    axes: tuple[int, ...]

    def axis(self, index: int) -> int:
        """Which axis of the stored tensor the operator sees at `index`; a tensor of too few axes has none but 0."""
        return self.axes[index % len(self.axes)] if self.axes else 0


class SeenTensors:
    """Which values of a graph are its own tensors, perhaps with their axes in another order."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._reordered: dict[str, Seen] = {}

    def find(self, argument: Argument) -> Seen | None:
        """The tensor that an argument is, None where it is something computed."""
        if isinstance(argument, TensorRef):
            return Seen(argument.name, tuple(range(len(self._graph.tensors[argument.name].shape))))
        return self._reordered.get(argument.name) if isinstance(argument, ValueRef) else None

    def follow(self, node: Node) -> bool:
        """Take note of a node that only puts axes in another order; False where it does anything else."""
        seen = self.find(node.arguments.get("self"))
        if seen is None or len(seen.axes) != 2:
            return False
        order = _order(node)
        if order is None:
            return False
        self._reordered[node.outputs[0]] = Seen(seen.name, tuple(seen.axes[axis] for axis in order))
        return True


def _order(node: Node) -> tuple[int, ...] | None:
    """Where a node takes its two axes from, None where it does not only that."""
    if len(node.outputs) != 1 or node.unpacked:
        return None
    if node.operator in _TRANSPOSES:
        return (1, 0)
    if node.operator == "aten.transpose.int":
        dims = _axes(node.arguments.get("dim0"), node.arguments.get("dim1"))
        return dims and ((1, 0) if dims[0] != dims[1] else (0, 1))
    if node.operator == "aten.permute.default":
        given = node.arguments.get("dims")
        dims = _axes(*given) if isinstance(given, tuple) else None
        return dims if dims in {(0, 1), (1, 0)} else None
    return None


def _axes(*given: Argument) -> tuple[int, ...] | None:
    """Two axes counted from the first, None where they are anything else."""
    axes = tuple(axis % 2 for axis in given if isinstance(axis, int) and -2 <= axis <= 1)
    return axes if len(axes) == len(given) == 2 else None
