"""What a view looks into, once the view was overwritten: `y[:, 0] = v` becomes `y = select_scatter(y, v, 1, 0)`.

| view | is put back by |
|---|---|
| `select`, `slice`, `narrow`, `diagonal` | `select_scatter`, `slice_scatter`, `slice_scatter`, `diagonal_scatter` |
| `t`, `T`, `mT`, `transpose`, `swapaxes`, `swapdims` | the same once more |
| `permute`, `movedim`, `moveaxis` | the same the other way round |
| `view`, `view_as`, `squeeze`, `unsqueeze`, `alias` | `reshape_as` |
| `chunk`, `split`, `split_with_sizes`, `tensor_split`; `unbind` | `cat`; `stack` |

Not here: what may be a view or a copy as memory has it (`reshape`, `contiguous`, `to`), what shows one element in many
places (`expand`, `unfold`), and `detach`, through which values are written and gradients are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal

from sterna.graph.network import Argument, Node, ValueRef

MAX_PIECES: Final = 64
_SCATTERS: Final = {
    "aten.select.int": "aten.select_scatter.default",
    "aten.slice.Tensor": "aten.slice_scatter.default",
    "aten.diagonal.default": "aten.diagonal_scatter.default",
}
_NARROW: Final = "aten.narrow.default"
_ONCE_MORE: Final = frozenset(
    {
        "aten.t.default", "aten.numpy_T.default", "aten.mT.default", "aten.transpose.int", "aten.swapaxes.default",
        "aten.swapdims.default",
    }
)  # fmt: skip
_PERMUTE: Final = "aten.permute.default"
_MOVES: Final = frozenset({"aten.movedim.int", "aten.movedim.intlist", "aten.moveaxis.int", "aten.moveaxis.intlist"})
_IN_ORDER: Final = frozenset(
    {
        "aten.view.default", "aten.view_as.default", "aten.squeeze.default", "aten.squeeze.dim", "aten.squeeze.dims",
        "aten.unsqueeze.default", "aten.alias.default",
    }
)  # fmt: skip
_CUTS: Final = frozenset(
    {
        "aten.chunk.default", "aten.split.Tensor", "aten.split.sizes", "aten.split_with_sizes.default",
        "aten.tensor_split.sections", "aten.tensor_split.indices",
    }
)  # fmt: skip
_UNBIND: Final = "aten.unbind.int"
_REPEATING: Final = frozenset(
    {
        "aten.expand.default", "aten.expand_as.default", "aten.broadcast_to.default", "aten.unfold.default",
        "aten.meshgrid.default", "aten.meshgrid.indexing",
    }
)  # fmt: skip
_ALL: Final = {*_SCATTERS, *_ONCE_MORE, *_MOVES, *_IN_ORDER, *_CUTS, _UNBIND, _NARROW, _PERMUTE}


Layout = Literal["as before", "repeating", "plain"]


def layout(node: Node) -> Layout:
    """How memory shows in what may be a view: as in what it looks into, one element in many places, each in one."""
    if node.operator in _REPEATING:
        return "repeating"
    return "plain" if node.operator == "aten.contiguous.default" else "as before"


def can_be_put_back(node: Node) -> bool:
    """Whether a node surely gives views of its `self`, and what they look into follows from them."""
    if node.operator not in _ALL or not isinstance(node.arguments.get("self"), ValueRef):
        return False
    if node.operator == _NARROW:
        return _bounds(node) is not None
    if node.operator == _PERMUTE:
        return _inverse(node.arguments.get("dims")) is not None
    return len(node.outputs) <= MAX_PIECES


def put_back(node: Node, old: str, pieces: Sequence[str], name: str) -> Node:
    """The node that gives what `node` looked into as it is now.

    Args:
        node: one that `can_be_put_back`.
        old: what it looked into, as it was.
        pieces: what its outputs are now, in their order.
        name: of the value to make.
    """
    piece = ValueRef(pieces[0])
    rest = {key: value for key, value in node.arguments.items() if key != "self"}
    if node.operator in _SCATTERS:
        return Node(_SCATTERS[node.operator], {"self": ValueRef(old), "src": piece, **rest}, (name,))
    if node.operator == _NARROW:
        start, end = _bounds(node) or (0, 0)
        place = {"dim": rest.get("dim"), "start": start, "end": end}
        return Node("aten.slice_scatter.default", {"self": ValueRef(old), "src": piece, **place}, (name,))
    if node.operator in _CUTS or node.operator == _UNBIND:
        joining = "aten.stack.default" if node.operator == _UNBIND else "aten.cat.default"
        return Node(joining, {"tensors": tuple(map(ValueRef, pieces)), "dim": rest.get("dim", 0)}, (name,))
    if node.operator in _IN_ORDER:
        return Node("aten.reshape_as.default", {"self": piece, "other": ValueRef(old)}, (name,))
    return Node(node.operator, {"self": piece, **_other_way_round(node.operator, rest)}, (name,))


def looking_again(node: Node, value: str, outputs: tuple[str, ...]) -> Node:
    """The same look at another value."""
    return without_strides(replace(node, arguments={**node.arguments, "self": ValueRef(value)}, outputs=outputs))


def without_strides(node: Node) -> Node:
    """A node that does not ask how memory is laid out: values that are made anew may be laid out otherwise."""
    if node.operator == "aten.view.default":
        arguments = {"shape" if key == "size" else key: value for key, value in node.arguments.items()}
        return replace(node, operator="aten.reshape.default", arguments=arguments)
    return replace(node, operator="aten.reshape_as.default") if node.operator == "aten.view_as.default" else node


def _bounds(node: Node) -> tuple[int, int] | None:
    """First and one past the last of a `narrow`, None where they are not numbers."""
    start, length = node.arguments.get("start"), node.arguments.get("length")
    if type(start) is not int or type(length) is not int:
        return None
    return start, (2**63 - 1 if start < 0 and start + length == 0 else start + length)


def _other_way_round(operator: str, rest: Mapping[str, Argument]) -> Mapping[str, Argument]:
    if operator in _MOVES:
        return {"source": rest.get("destination"), "destination": rest.get("source")}
    return {"dims": _inverse(rest.get("dims"))} if operator == _PERMUTE else rest


def _inverse(dims: Argument) -> tuple[int, ...] | None:
    """The order of axes that undoes another, None where that is none."""
    if not isinstance(dims, tuple):
        return None
    axes = [dim % len(dims) for dim in dims if type(dim) is int]
    return tuple(axes.index(axis) for axis in range(len(dims))) if sorted(axes) == list(range(len(dims))) else None
