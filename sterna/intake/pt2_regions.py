"""Regions of a `.pt2`: parts of the network that run under `torch.no_grad()` or a switched-off autocast.

    {"target": "torch.ops.higher_order.wrap_with_set_grad_enabled",
     "inputs": [false, {"as_graph": {"graph": {"inputs": …, "nodes": …, "outputs": …}}}, what it takes …]}

torch puts such a part into a graph of its own, which is an argument of one node. It is read as if it stood where that
node stands, its values under names of their own. What a part without gradients makes is detached, which stops
gradients as well. Other graphs within graphs (`cond`, `scan`, …) are refused by the name of their operator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from sterna.errors import ModelCorrupt, ModelTooLarge, ModelUnsafe, OperatorUnsupported
from sterna.graph.check import MAX_NODES
from sterna.intake.json_text import Reader
from sterna.intake.limits import MODEL
from sterna.intake.pt2_nodes import RawNode

MAX_DEPTH: Final = 4
MAX_FORM_DEPTH: Final = 16
_GRADIENTS: Final = "torch.ops.higher_order.wrap_with_set_grad_enabled"
_AUTOCAST: Final = "torch.ops.higher_order.wrap_with_autocast"
_SWITCH: Final = {_GRADIENTS: 0, _AUTOCAST: 2}
_GRAPH: Final = {_GRADIENTS: 1, _AUTOCAST: 4}
_HINT: Final = "Export the network without autocast, and without switching gradients on inside torch.no_grad()."
_NET: Final = Reader("a region of the network", MODEL)


class Body:
    """The nodes of a graph with those of its regions in their places.

    Args:
        form: the graph as it stands in the file.

    Attributes:
        nodes: in order.
        metadata: element types and sizes of all values by name, unread.

    Raises:
        OperatorUnsupported, ModelUnsafe: a region that is not read.
        ModelCorrupt, ModelTooLarge: as they say.
    """

    def __init__(self, form: Mapping[str, object]) -> None:
        self.metadata: dict[str, object] = {}
        self.nodes: list[RawNode] = []
        self._regions = 0
        for node in self._expanded(form, {}, (0, 0)):
            self.nodes.append(node)
            if len(self.nodes) > MAX_NODES:
                raise ModelTooLarge(f"the network has more than {MAX_NODES} nodes, which are read at most")

    def _expanded(
        self, form: Mapping[str, object], names: Mapping[str, str], place: tuple[int, int]
    ) -> Iterator[RawNode]:
        """The nodes of a graph that lies so deep in regions, and in that one without gradients."""
        depth, region = place
        if depth > MAX_DEPTH:
            raise ModelTooLarge(f"the network has regions within regions; at most {MAX_DEPTH} deep are read")
        # Schemas before this member came about leave it out.
        if _NET.typed(form.get("custom_obj_values", {}), dict, "custom_obj_values"):
            raise ModelUnsafe("the network uses custom objects", hint="Export a network of tensors alone.")
        for name, meta in _NET.get(form, "tensor_values", dict).items():
            self.metadata.setdefault(names.get(name, name), meta)
        for item in _NET.get(form, "nodes", list):
            node = replace(_renamed_node(RawNode.read(item), names), region=region)
            if node.target in _SWITCH:
                yield from self._region(node, depth)
            else:
                yield node

    def _region(self, node: RawNode, depth: int) -> Iterator[RawNode]:
        stops = _stops_gradients(node, depth)
        self._regions += 1
        at = _GRAPH[node.target]
        graph = _NET.get(_argument(node, at, "as_graph"), "graph", dict)
        names = self._names_in(graph, [form for _, form in node.arguments[at + 1 :]])
        region = node.region or (self._regions if stops else 0)
        makers: dict[str, RawNode] = {}
        for inside in self._expanded(graph, names, (depth + 1, region)):
            makers.update(dict.fromkeys(inside.output_names, inside))
            yield inside
        made = _NET.get(graph, "outputs", list)
        if len(made) != len(node.outputs):
            raise ModelCorrupt("a region of the network gives another number of values than its node says")
        for inner, outer in zip(made, node.outputs, strict=True):
            if not isinstance(outer, dict) or "as_tensor" not in outer:
                raise OperatorUnsupported("a region of the network gives something that is no tensor", hint=_HINT)
            form = _renamed(inner, names)
            operator = "detach" if stops and not self._is_given_back(_name(form), makers) else "alias"
            yield RawNode(f"torch.ops.aten.{operator}.default", (("self", form),), (outer,), node.region)

    def _is_given_back(self, name: str, makers: Mapping[str, RawNode]) -> bool:
        """Whether a value is from outside of the region, and keeps its gradients.

        A cast to the element type that a tensor has gives the tensor itself, and torch makes one of two casts of the
        same, one of them inside the region.
        """
        while name in makers:
            maker = makers[name]
            if maker.operator != "aten.to.dtype" or {key for key, _ in maker.arguments} != {"self", "dtype"}:
                return False
            if maker.first_name is None or self._dtype(name) != self._dtype(maker.first_name):
                return False
            name = maker.first_name
        return True

    def _dtype(self, name: str) -> object:
        meta = self.metadata.get(name)
        return meta.get("dtype") if isinstance(meta, dict) else None

    def _names_in(self, graph: Mapping[str, object], given: list[object]) -> Mapping[str, str]:
        """What the names in a region stand for outside: what it takes, and new names for what it makes."""
        taken = _NET.get(graph, "inputs", list)
        if len(taken) != len(given):
            raise ModelCorrupt("a region of the network takes another number of values than it is given")
        made = {
            name: f"region{self._regions}_{name}"
            for item in _NET.get(graph, "nodes", list)
            for name in RawNode.read(item).output_names
        }
        return {**made, **{_name(inner): _name(outer) for inner, outer in zip(taken, given, strict=True)}}


def _stops_gradients(node: RawNode, depth: int) -> bool:
    """Whether a region has no gradients; they may be switched on where they are on already.

    Raises:
        OperatorUnsupported: without its switch it would compute something else.
    """
    enabled = _NET.typed(_argument(node, _SWITCH[node.target], "as_bool"), bool, "as_bool")
    if enabled and (node.target == _AUTOCAST or depth):
        what = "autocast" if node.target == _AUTOCAST else "gradients inside a part that has none"
        raise OperatorUnsupported(f"a region of the network switches on {what}", hint=_HINT)
    return node.target == _GRADIENTS and not enabled


def _argument(node: RawNode, index: int, choice: str) -> Any:  # noqa: ANN401  whatever the choice holds
    if index >= len(node.arguments):
        raise ModelCorrupt(f"{node.target} has {len(node.arguments)} arguments; at least {index + 1} belong there")
    found, value = _NET.union(node.arguments[index][1], choice)
    if found != choice:
        raise ModelCorrupt(f"{node.target} has {found!r} where {choice!r} belongs")
    return value


def _name(form: object) -> str:
    choice, value = _NET.union(form, "a value")
    return _NET.get(value, "as_name" if choice == "as_sym_int" else "name", str)


def _renamed_node(node: RawNode, names: Mapping[str, str]) -> RawNode:
    if not names:
        return node
    arguments = tuple((name, _renamed(form, names)) for name, form in node.arguments)
    return RawNode(node.target, arguments, tuple(_renamed(form, names) for form in node.outputs))


def _renamed(form: object, names: Mapping[str, str], depth: int = 0) -> object:
    """The same form with the names of values replaced; a region's own graph keeps its names until it is expanded."""
    if depth > MAX_FORM_DEPTH:
        raise ModelTooLarge(f"an argument has lists deeper than {MAX_FORM_DEPTH}")
    if isinstance(form, list):
        return [_renamed(item, names, depth + 1) for item in form]
    if not isinstance(form, dict):
        return form
    return {key: _renamed_member(key, value, names, depth) for key, value in form.items()}


def _renamed_member(key: str, value: object, names: Mapping[str, str], depth: int) -> object:
    if key == "as_graph":
        return value
    if key in {"name", "as_name"} and isinstance(value, str):
        return names.get(value, value)
    return _renamed(value, names, depth + 1)
