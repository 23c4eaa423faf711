"""Which tensors are weights of layers, and which of them can be made ternary.

A tensor is a weight where an operator of the allow-list takes it as one, as it is or looked at: transposed, cut in
parts or cast (`looks.py`). It can be made ternary when every use of it is such a use, along the same output-channel
axis: its scale then means one thing. A weight that two layers share is listed once, with the kinds of both: making it
ternary changes both.

An embedding has a scale for each feature, since one for each row would outweigh its codes; where it is also the weight
of a product, that decides. Rows that are looked up by constants, and not by anything computed from the inputs, are
embeddings of position, which stay as they are; so do embeddings that are called so, since some count their positions
off a mask.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import prod
from typing import Final

from sterna.graph.dtypes import FLOATING
from sterna.graph.einsum import output_channel_axis
from sterna.graph.looks import ADDED, Seen, SeenTensors
from sterna.graph.network import Argument, Graph, Node, TensorInfo, ValueRef
from sterna.graph.operators import OPERATORS


@dataclass(frozen=True, slots=True)
class Layer:
    """One tensor that layers use as their weight.

    Attributes:
        name: original name of the tensor.
        kind: `linear`, `bilinear`, `conv`, `conv_transpose`, `lstm`, `gru`, `rnn`, `einsum`, `embedding`, `position`;
            joined by `+` where several share it.
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
_ASK_FOR_SIZES: Final = frozenset(
    {
        "aten.sym_size.int", "aten.sym_numel.default", "aten.zeros_like.default", "aten.ones_like.default",
        "aten.full_like.default", "aten.new_zeros.default", "aten.new_ones.default", "aten.new_full.default",
    }
)  # fmt: skip
_SUMMED: Final = {"self": "dims_self", "other": "dims_other"}
_POSITION_NAME: Final = re.compile(
    r"(^|[._])(wpe|pos|positions?|positional|pos(ition)?_?emb\w*)([._]|$)", re.IGNORECASE | re.ASCII
)


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
        for name, argument in node.arguments.items():
            if isinstance(argument, tuple):
                yield from _uses_in_list(node, name, argument, tensors)
            elif seen := tensors.find(argument):
                if node.operator == "aten.tensordot.default":
                    yield seen.name, _tensordot_use(node, name, seen, tensors)
                else:
                    yield seen.name, _use(node, name, seen, from_inputs)
    for output in graph.outputs:
        yield from ((seen.name, _FUNCTION) for seen in _seen_in(output, tensors))


def _use(node: Node, argument_name: str, seen: Seen, from_inputs: Set[str]) -> _Use:
    operator = OPERATORS[node.operator]
    if argument_name in operator.weights:
        if operator.kind == "embedding" and not _depends(node, from_inputs):
            return _POSITION
        return _layer_use(operator.kind, seen.axis(operator.channel_axis))
    if argument_name == operator.left:
        return _layer_use(operator.kind, seen.axis(-2))
    return _FUNCTION


def _tensordot_use(node: Node, argument_name: str, seen: Seen, tensors: SeenTensors) -> _Use:
    """As of an einsum: the axes that are not summed over are passed on, and the longest of them has the scales."""
    summed = node.arguments.get(_SUMMED.get(argument_name, ""))
    if not isinstance(summed, tuple) or not summed or not seen.axes:
        return _FUNCTION
    shape, lost = tensors.shape(seen), {axis % len(seen.axes) for axis in summed if type(axis) is int}
    passed_on = [axis for axis in range(len(shape)) if axis not in lost]
    if not passed_on:
        return _FUNCTION
    return _layer_use("linear", seen.axis(max(passed_on, key=lambda axis: (shape[axis], axis))))


def _layer_use(kind: str, axis: int) -> _Use:
    return _FUNCTION if axis == ADDED else _Use(kind, axis)


def _uses_in_list(
    node: Node, argument_name: str, items: tuple[Argument, ...], tensors: SeenTensors
) -> Iterator[tuple[str, _Use]]:
    operator = OPERATORS[node.operator]
    for index, item in enumerate(items):
        seen = tensors.find(item)
        if seen is None or argument_name not in operator.weights:
            yield from ((inner.name, _FUNCTION) for inner in _seen_in(item, tensors))
        elif operator.kind == "einsum":
            yield seen.name, _einsum_use(node, index, seen, tensors)
        elif len(seen.axes) > 1:
            yield seen.name, _layer_use(operator.kind, seen.axis(operator.channel_axis))
        else:  # a bias
            yield seen.name, _FUNCTION


def _einsum_use(node: Node, operand: int, seen: Seen, tensors: SeenTensors) -> _Use:
    equation, operands = node.arguments.get("equation"), node.arguments.get("tensors")
    if not isinstance(equation, str) or not isinstance(operands, tuple):
        return _FUNCTION
    axis = output_channel_axis(equation, operand, tensors.shape(seen), len(operands))
    return _FUNCTION if axis is None else _layer_use("einsum", seen.axis(axis))


def _depends(node: Node, values: Set[str]) -> bool:
    """Whether a node works on what is in one of the values; their sizes do not count."""
    if node.operator in _ASK_FOR_SIZES:
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


def _called_position(name: str, uses: list[_Use]) -> bool:
    return all(use.kind == "embedding" for use in uses) and _POSITION_NAME.search(name) is not None


def _why_not(name: str, info: TensorInfo, uses: list[_Use], exclude: Sequence[str]) -> str:
    reasons = (
        (is_excluded(name, exclude), "excluded"),
        (info.kind != "parameter", f"a {info.kind}, not a parameter"),
        (info.dtype not in FLOATING, f"not floating point but {info.dtype}"),
        (len(info.shape) < 2, "fewer than two axes"),
        (prod(info.shape) == 0, "empty"),
        (_POSITION in uses, "an embedding of position: its rows are looked up by constants"),
        (_called_position(name, uses), "an embedding of position, as its name says"),
        (_FUNCTION in uses, "also used otherwise than as a weight"),
        (
            len({use.channel_axis for use in uses if use.kind not in _LOOKED_UP}) > 1,
            "used along two output-channel axes",
        ),
    )
    return next((reason for applies, reason in reasons if applies), "")
