"""Tensors of the network whose two axes are exchanged before they are used, as in `x @ w.t()`.

A weight that is turned is written turned, so that no Transpose stands between it and its product. Followed are `t`,
`T`, `mT`, `transpose` and `permute` of tensors with two axes, and these of one another; anything else is a node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sterna.graph import Argument, Graph, Node, TensorRef, ValueRef

_TURNS: Final = frozenset({"aten.t.default", "aten.numpy_T.default", "aten.mT.default"})
_SWAPS: Final = {
    "aten.transpose.int": ("dim0", "dim1"),
    "aten.swapdims.default": ("dim0", "dim1"),
    "aten.swapaxes.default": ("axis0", "axis1"),
}


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor of the network that is in the ONNX graph only once something asks for it, in a form of its choice.

    Attributes:
        name: of the tensor.
        axes: for each axis that is seen, which one of the tensor it is.
        shape: as it is seen.
    """

    name: str
    axes: tuple[int, ...]
    dtype: str
    shape: tuple[int, ...]

    def turned(self) -> Stored:
        """The same tensor with its last two axes exchanged."""
        axes, shape = list(self.axes), list(self.shape)
        for order in (axes, shape):
            order[-2:] = order[-2:][::-1]
        return Stored(self.name, tuple(axes), self.dtype, tuple(shape))


class StoredTensors:
    """Which values of a graph are its own tensors, perhaps turned."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._turned: dict[str, Stored] = {}

    def find(self, argument: Argument) -> Stored | None:
        """The tensor that an argument is, None where it is something computed."""
        if isinstance(argument, TensorRef):
            info = self._graph.tensors[argument.name]
            return Stored(argument.name, tuple(range(len(info.shape))), info.dtype, info.shape)
        return self._turned.get(argument.name) if isinstance(argument, ValueRef) else None

    def follow(self, node: Node) -> bool:
        """Take note of a node that only exchanges axes; False where it does anything else."""
        stored = self.find(node.arguments.get("self"))
        if stored is None or len(stored.axes) != 2 or len(node.outputs) != 1 or node.unpacked:
            return False
        order = _order(node)
        if order not in {(0, 1), (1, 0)}:
            return False
        self._turned[node.outputs[0]] = stored if order == (0, 1) else stored.turned()
        return True


def _order(node: Node) -> tuple[int, ...] | None:
    """Where a node takes its two axes from, None where it does not only that."""
    if node.operator in _TURNS:
        return (1, 0)
    if node.operator in _SWAPS:
        one, other = (node.arguments.get(name) for name in _SWAPS[node.operator])
        if not isinstance(one, int) or not isinstance(other, int):
            return None
        return (0, 1) if one % 2 == other % 2 else (1, 0)
    if node.operator == "aten.permute.default":
        given = node.arguments.get("dims")
        return tuple(axis % 2 for axis in given if isinstance(axis, int)) if isinstance(given, tuple) else None
    return None
