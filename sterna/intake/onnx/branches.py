"""Conditions of an ONNX network that are known when the file is read: the branch that is taken becomes part of it.

Exporters write `If` where they do not know how many axes a tensor has, or whether an axis is 1. What depends on data,
or on the size of a dynamic axis, stays refused, and so do loops.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sterna.errors import ModelCorrupt, ModelTooLarge, OperatorUnsupported
from sterna.graph.check import MAX_NODES
from sterna.intake.onnx.messages import Message, read_value_info
from sterna.intake.onnx.nodes import CONDITION, Branch, OnnxNode, read_node
from sterna.intake.onnx.tensors import OnnxTensor, read_tensor
from sterna.intake.onnx.values import Items
from sterna.intake.onnx.wire import HINT, Span, Wire

MAX_DEPTH: Final = 4
_SIDES: Final = {"then_branch", "else_branch"}


@dataclass(frozen=True, slots=True)
class Taken:
    """A branch that was read.

    Attributes:
        tensors: of its own.
        nodes: in order.
        outputs: the names of what it gives.
    """

    tensors: Mapping[str, OnnxTensor]
    nodes: tuple[OnnxNode, ...]
    outputs: tuple[str, ...]


class Branches:
    """The branches of one file, each of which is read once."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._known: dict[Span, Taken] = {}
        self._nodes = 0

    def inputs(self, node: OnnxNode, depth: int = 0) -> set[str]:
        """The names that a node takes, itself or within its branches, among which may be names of their own.

        Raises:
            ModelTooLarge: branches lie within branches, deeper than is read, or have too many nodes.
        """
        names = set(node.inputs)
        if node.operator != CONDITION:
            return names
        if depth == MAX_DEPTH:
            raise ModelTooLarge(f"conditions lie within conditions, deeper than {MAX_DEPTH}")
        for side in node.attributes.values():
            if isinstance(side, Branch):
                branch = self._read(side)
                names.update(branch.outputs)
                for inner in branch.nodes:
                    names |= self.inputs(inner, depth + 1)
        return names

    def choose(self, node: OnnxNode, condition: Items | None) -> Taken:
        """The branch that a known condition takes.

        Raises:
            OperatorUnsupported: it depends on data or on a size that may differ.
            ModelCorrupt: the node is no condition with two branches.
        """
        sides = node.attributes
        if sides.keys() != _SIDES or len(node.inputs) != 1:
            raise ModelCorrupt("an If has other than a condition and two branches", hint=HINT)
        if condition is None or not condition.is_known or len(condition.elements) != 1:
            raise OperatorUnsupported(
                "the network has a condition (If) that depends on its data or on the size of a dynamic axis",
                hint="Export the network without conditions, or with sizes that are fixed but for the first axis.",
            )
        side = sides["then_branch" if condition.elements[0] else "else_branch"]
        if not isinstance(side, Branch):
            raise ModelCorrupt("a branch of an If is no network", hint=HINT)
        return self._read(side)

    def _read(self, branch: Branch) -> Taken:
        if branch.span not in self._known:
            message = Message(self._wire, branch.span, "a branch")
            if message.has(11) or message.has(15):
                raise OperatorUnsupported("a branch of an If has inputs or sparse tensors of its own")
            spans = message.spans(1)
            self._nodes += len(spans)
            if self._nodes > MAX_NODES:
                raise ModelTooLarge(f"the branches of the network have more than {MAX_NODES} nodes")
            tensors = [read_tensor(self._wire, span) for span in message.spans(5)]
            self._known[branch.span] = Taken(
                {tensor.name: tensor for tensor in tensors},
                tuple(read_node(self._wire, span) for span in spans),
                tuple(read_value_info(self._wire, span).name for span in message.spans(12)),
            )
        return self._known[branch.span]
