"""Which tensors are weights of layers, and which of them can be made ternary.

A tensor is a weight where an operator of the allow-list takes it as one, as it is or with its axes in another order
(`reordered.py`). It can be made ternary when every use of it is such a use, along the same output-channel axis: its
scale then means one thing. A weight that two layers share is listed once, with the kinds of both: making it ternary
changes both.

An embedding has a scale for each feature, since one for each row would outweigh its codes; where it is also the weight
of a product, that decides. Rows that are looked up by constants, and not by anything computed from the inputs, are
embeddings of position, which stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import prod
from typing import Final

from sterna.graph.dtypes import FLOATING
from sterna.graph.network import Argument, Graph, Node, TensorInfo, ValueRef
from sterna.graph.operators import OPERATORS, Operator
from sterna.graph.reordered import Seen, SeenTensors


@dataclass(frozen=True, slots=True)
class Layer:
    """One tensor that layers use as their weight.

    Attributes:
        name: original name of the tensor.
        kind: `linear`, `conv`, `conv_transpose`, `embedding`, `position`; joined by `+` where several share it.
        shape: sizes.
        weights: number of elements.
        channel_axis: output-channel axis, from 0.
        ternarisable: whether it can be made ternary.
        why_not: in a few words, empty where it can.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    weights: int
    channel_axis: int
    ternarisable: bool
    why_not: str


@dataclass(frozen=True, slots=True)
class _Use:
    kind: str
    channel_axis: int


_FUNCTION: Final = _Use("function", 0)
_LOOKED_UP: Final = frozenset({"function", "embedding", "position"})
_POSITION: Final = _Use("position", 1)


def find_layers(graph: Graph, exclude: Sequence[str] = ()) -> tuple[Layer, ...]:
    """List the weights of the network in its own order of tensors.

    Args:
        graph: a checked graph.
        exclude: globs on the name of the tensor or of the module that owns it, such as `features.0` or
            `head.*`.
    """
    uses: dict[str, list[_Use]] = {}
    for name, use in _uses(graph):
        uses.setdefault(name, []).append(use)
    layers = []
    for name, info in graph.tensors.items():
        found = uses.get(name, [])
        if any(use != _FUNCTION for use in found):
            layers.append(_layer(name, info, found, exclude))
    return tuple(layers)


def is_excluded(name: str, exclude: Sequence[str]) -> bool:
    """Whether a glob fits the tensor's name or its module's."""
    module = name.rpartition(".")[0]
    return any(fnmatchcase(name, glob) or (module and fnmatchcase(module, glob)) for glob in exclude)


def _uses(graph: Graph) -> Iterator[tuple[str, _Use]]:
    tensors = SeenTensors(graph)
    from_inputs = {item.name for item in graph.inputs}
    for node in graph.nodes:
        if _depends(node, from_inputs):
            from_inputs.update(node.outputs)
        if tensors.follow(node):
            continue
        operator = OPERATORS[node.operator]
        for name, argument in node.arguments.items():
            if isinstance(argument, tuple):
                yield from ((seen.name, _FUNCTION) for seen in _seen_in(argument, tensors))
            elif seen := tensors.find(argument):
                position = operator.kind == "embedding" and name == operator.weight and not _depends(node, from_inputs)
                yield seen.name, _POSITION if position else _use(operator, name, seen)
    for output in graph.outputs:
        yield from ((seen.name, _FUNCTION) for seen in _seen_in(output, tensors))


def _use(operator: Operator, argument_name: str, seen: Seen) -> _Use:
    if argument_name == operator.weight:
        return _Use(operator.kind, seen.axis(operator.channel_axis))
    if argument_name == operator.left:
        return _Use(operator.kind, seen.axis(-2))
    return _FUNCTION


def _depends(node: Node, values: Set[str]) -> bool:
    """Whether a node works on what is in one of the values; their sizes do not count."""
    if node.operator == "aten.sym_size.int":
        return False
    return any(name in values for argument in node.arguments.values() for name in _values_in(argument))


def _values_in(argument: Argument) -> Iterator[str]:
    if isinstance(argument, tuple):
        for item in argument:
            yield from _values_in(item)
    elif isinstance(argument, ValueRef):
        yield argument.name


def _seen_in(argument: Argument, tensors: SeenTensors) -> Iterator[Seen]:
    if isinstance(argument, tuple):
        for item in argument:
            yield from _seen_in(item, tensors)
    elif seen := tensors.find(argument):
        yield seen


def _layer(name: str, info: TensorInfo, uses: list[_Use], exclude: Sequence[str]) -> Layer:
    kinds = list(dict.fromkeys(use.kind for use in uses if use.kind != "function"))
    axis = next((use.channel_axis for use in uses if use.kind not in _LOOKED_UP), 1)
    why_not = _why_not(name, info, uses, exclude)
    return Layer(name, "+".join(kinds), info.shape, prod(info.shape), axis, not why_not, why_not)


def _why_not(name: str, info: TensorInfo, uses: list[_Use], exclude: Sequence[str]) -> str:
    reasons = (
        (is_excluded(name, exclude), "excluded"),
        (info.kind != "parameter", f"a {info.kind}, not a parameter"),
        (info.dtype not in FLOATING, f"not floating point but {info.dtype}"),
        (len(info.shape) < 2, "fewer than two axes"),
        (prod(info.shape) == 0, "empty"),
        (_POSITION in uses, "an embedding of position: its rows are looked up by constants"),
        (_FUNCTION in uses, "also used otherwise than as a weight"),
        (
            len({use.channel_axis for use in uses if use.kind not in _LOOKED_UP}) > 1,
            "used along two output-channel axes",
        ),
    )
    return next((reason for applies, reason in reasons if applies), "")
