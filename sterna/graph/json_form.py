"""The JSON form of a graph, which the artifact stores.

    {"inputs":  [{"name": "image", "dtype": "float32", "shape": [null, 1, 28, 28]}],
     "tensors": [{"name": "fc.weight", "kind": "parameter", "dtype": "float32", "shape": [10, 784]}],
     "nodes":   [{"operator": "aten.flatten.using_ints",
                  "arguments": {"self": {"value": "image"}, "start_dim": 1},
                  "outputs": ["flat"], "unpacked": false}],
     "outputs": ["linear"]}

An argument is null, true, false, a number, a text, a list of arguments, or an object with one member:
`{"value": name}` is what an input or an earlier node made, `{"tensor": name}` a tensor of the network,
`{"dtype": name}` an element type, `{"float": "inf" | "-inf" | "nan"}` a number that JSON has not. A number is
a float where it has a point or an exponent. Reading is strict: unknown or missing members are refused, and what
is read passes `check_graph`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypeVar, cast

from sterna.errors import ModelCorrupt, ModelTooLarge
from sterna.graph.check import MAX_LIST_DEPTH, check_graph, quoted
from sterna.graph.network import (
    Argument,
    Dtype,
    Graph,
    Input,
    Node,
    TensorInfo,
    TensorKind,
    TensorRef,
    ValueRef,
)

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"

_T = TypeVar("_T")
_ODD_FLOATS = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def graph_to_json(graph: Graph) -> dict[str, Any]:
    """The graph as what `json.dumps` takes; equal graphs give equal JSON."""
    return {
        "inputs": [{"name": item.name, "dtype": item.dtype, "shape": list(item.shape)} for item in graph.inputs],
        "tensors": [
            {"name": name, "kind": info.kind, "dtype": info.dtype, "shape": list(info.shape)}
            for name, info in graph.tensors.items()
        ],
        "nodes": [
            {
                "operator": node.operator,
                "arguments": {name: _encode(argument) for name, argument in node.arguments.items()},
                "outputs": list(node.outputs),
                "unpacked": node.unpacked,
            }
            for node in graph.nodes
        ],
        "outputs": [output.name for output in graph.outputs],
    }


def graph_from_json(form: object) -> Graph:
    """Read and check a graph.

    Raises:
        ModelCorrupt, ModelUnsafe, ModelTooLarge, OperatorUnsupported: as `check_graph`, and ModelCorrupt
            where the form is not the one above.
    """
    record = _record(form, ("inputs", "tensors", "nodes", "outputs"))
    tensors = [_tensor(item) for item in _typed(record["tensors"], list)]
    graph = Graph(
        inputs=tuple(_input(item) for item in _typed(record["inputs"], list)),
        tensors=dict(tensors),
        nodes=tuple(_node(item) for item in _typed(record["nodes"], list)),
        outputs=tuple(ValueRef(_typed(name, str)) for name in _typed(record["outputs"], list)),
    )
    if len(graph.tensors) != len(tensors):
        raise ModelCorrupt("two tensors of the graph have the same name")
    check_graph(graph)
    return graph


def _encode(argument: Argument) -> Json:
    if isinstance(argument, ValueRef):
        return {"value": argument.name}
    if isinstance(argument, TensorRef):
        return {"tensor": argument.name}
    if isinstance(argument, Dtype):
        return {"dtype": argument.name}
    if isinstance(argument, tuple):
        return [_encode(item) for item in argument]
    if isinstance(argument, float) and not math.isfinite(argument):
        return {"float": "nan" if math.isnan(argument) else "inf" if argument > 0 else "-inf"}
    return argument


def _decode(form: object, depth: int = 0) -> Argument:
    if form is None or isinstance(form, bool | int | str):
        return form
    if isinstance(form, float):
        if not math.isfinite(form):
            raise ModelCorrupt('a number of the graph is not finite; that is written {"float": "inf"}')
        return form
    if isinstance(form, list):
        if depth >= MAX_LIST_DEPTH:
            raise ModelTooLarge(f"an argument has lists deeper than {MAX_LIST_DEPTH}")
        return tuple(_decode(item, depth + 1) for item in form)
    return _decode_reference(form)


def _decode_reference(form: object) -> Argument:
    if not isinstance(form, dict) or len(form) != 1:
        raise ModelCorrupt("an argument of the graph is an object with other than one member")
    [(kind, name)] = form.items()
    name = _typed(name, str)
    if kind == "value":
        return ValueRef(name)
    if kind == "tensor":
        return TensorRef(name)
    if kind == "dtype":
        return Dtype(name)
    if kind == "float" and name in _ODD_FLOATS:
        return _ODD_FLOATS[name]
    raise ModelCorrupt(f"an argument of the graph is a {quoted(str(kind))}; known are value, tensor, dtype and float")


def _input(form: object) -> Input:
    record = _record(form, ("name", "dtype", "shape"))
    shape = tuple(None if size is None else _typed(size, int) for size in _typed(record["shape"], list))
    return Input(_typed(record["name"], str), _typed(record["dtype"], str), shape)


def _tensor(form: object) -> tuple[str, TensorInfo]:
    record = _record(form, ("name", "kind", "dtype", "shape"))
    shape = tuple(_typed(size, int) for size in _typed(record["shape"], list))
    kind = cast("TensorKind", _typed(record["kind"], str))  # check_graph refuses any other kind
    return _typed(record["name"], str), TensorInfo(kind, _typed(record["dtype"], str), shape)


def _node(form: object) -> Node:
    record = _record(form, ("operator", "arguments", "outputs", "unpacked"))
    arguments = {str(name): _decode(value) for name, value in _typed(record["arguments"], dict).items()}
    outputs = tuple(_typed(name, str) for name in _typed(record["outputs"], list))
    return Node(_typed(record["operator"], str), arguments, outputs, _typed(record["unpacked"], bool))


def _record(form: object, members: tuple[str, ...]) -> dict[str, object]:
    if not isinstance(form, dict) or form.keys() != set(members):
        raise ModelCorrupt(f"a part of the graph is not an object with exactly the members {', '.join(members)}")
    return form


def _typed(value: object, kind: type[_T]) -> _T:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ModelCorrupt(f"the graph has a {type(value).__name__} where a {kind.__name__} belongs")
    return value
