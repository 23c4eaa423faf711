"""An `.onnx` file: one message, read without running it, becomes the same graph form that a `.pt2` becomes.

The file is mapped and walked; nothing of a weight is read before somebody asks for it. Refused by name are weights in
other files, operators of other domains, functions, and loops; of a condition that is known one branch is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sterna.errors import ModelCorrupt, ModelTooLarge, ModelVersionUnsupported, OperatorUnsupported
from sterna.graph import DTYPES, Graph, Input, Network, TensorInfo, ValueRef, check_graph
from sterna.graph.check import MAX_INPUTS, MAX_NODES, MAX_TENSORS, check_shape, quoted
from sterna.intake.limits import DEFAULT_LIMITS, Limits
from sterna.intake.onnx.branches import Branches
from sterna.intake.onnx.call import Call
from sterna.intake.onnx.conversion import Conversion
from sterna.intake.onnx.messages import Message, ValueInfo, read_value_info
from sterna.intake.onnx.nodes import CONDITION, DOMAINS, Attributes, OnnxNode, read_node
from sterna.intake.onnx.operators import CONVERTERS, check_onnx_operators
from sterna.intake.onnx.pruning import pruned
from sterna.intake.onnx.tensors import OnnxTensor, StoredTensor, element_type, read_tensor
from sterna.intake.onnx.values import Computed, Stored, Value
from sterna.intake.onnx.wire import HINT, Span, Wire

OLDEST_OPSET: Final = 7
NEWEST_OPSET: Final = 26
_EXPORT: Final = "Export it with an opset from 13 to 21, such as torch.onnx.export(…, opset_version=18)."


class Onnx:
    """One `.onnx` file.

    Args:
        path: the file.
        limits: what it may not exceed.

    Attributes:
        network: the graph, checked, and its tensors, each read from the mapped file when it is asked for.
        output_shape: of what it returns first, as the file has it; None for a size that may differ.

    Raises:
        ModelUnsafe: its weights lie in another file.
        ModelVersionUnsupported: its opset is too old or too new.
        OperatorUnsupported: by name, what is not read.
        ModelCorrupt, ModelTooLarge: as they say.
    """

    def __init__(self, path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> None:
        if Path(path).stat().st_size == 0:
            raise ModelCorrupt("the model is an empty file", hint=HINT)
        self._wire = Wire(path)
        model = Message(self._wire, self._wire.whole, "the model")
        if model.has(25):
            raise OperatorUnsupported("the network has functions of its own", hint="Inline them before exporting.")
        if model.has(20):
            raise OperatorUnsupported("the model holds a training loop", hint="Export the network for inference.")
        graph = model.span(7)
        if graph is None:
            raise ModelCorrupt("the model holds no network", hint=HINT)
        reader = _GraphReader(self._wire, graph, _opset(self._wire, model))
        self._stored = reader.read()
        self.network = Network(reader.graph, StoredTensors(self._stored))
        self.output_shape = reader.output_shape
        _check_total(reader.graph.tensors, limits)

    def check_bytes(self) -> None:
        """Read what is packed number by number; the rest has no check sums, and its length was checked already."""
        for tensor in self._stored.values():
            if isinstance(tensor, OnnxTensor) and tensor.varints:
                tensor.read()


@dataclass(frozen=True)
class StoredTensors(Mapping[str, NDArray[Any]]):
    """The tensors of a network by name, each read from the file when it is asked for, and not kept."""

    stored: Mapping[str, StoredTensor]

    def __getitem__(self, name: str) -> NDArray[np.generic]:
        return self.stored[name].read()

    def __iter__(self) -> Iterator[str]:
        return iter(self.stored)

    def __len__(self) -> int:
        return len(self.stored)


class _GraphReader:
    """One reading of a GraphProto."""

    def __init__(self, wire: Wire, span: Span, opset: int) -> None:
        self._wire = wire
        self._message = Message(wire, span, "the network")
        if self._message.has(15):
            raise OperatorUnsupported("the network has sparse tensors", hint="Store them dense and export again.")
        self._conversion = Conversion(opset)
        self._infos: dict[str, Span] | None = None
        self._left_out: set[str] = set()
        self._branches = Branches(wire)
        outputs = [read_value_info(wire, item) for item in self._spans(12, "outputs", MAX_INPUTS)]
        if not outputs:
            raise ModelCorrupt("the network returns nothing", hint=HINT)
        self._outputs = outputs
        self.output_shape = outputs[0].shape or ()

    def read(self) -> Mapping[str, StoredTensor]:
        """Convert everything; afterwards there is a `graph`."""
        inputs = self._read_names()
        nodes = [read_node(self._wire, item) for item in self._spans(1, "nodes", MAX_NODES)]
        self._convert_all(nodes, [info.name for info in self._outputs])
        outputs = tuple(self._returned(info.name) for info in self._outputs)
        kept, used = pruned(self._conversion.nodes, outputs)
        tensors = {name: info for name, info in self._conversion.tensors.items() if name in used}
        self.graph = Graph(inputs, tensors, tuple(kept), outputs)
        check_graph(self.graph)
        return {name: self._conversion.stored[name] for name in tensors}

    def _spans(self, number: int, what: str, most: int) -> list[Span]:
        spans = self._message.spans(number)
        if len(spans) > most:
            raise ModelTooLarge(f"the network has {len(spans)} {what}; at most {most} are read")
        return spans

    def _read_names(self) -> tuple[Input, ...]:
        """Inputs and tensors of the file; old files list the tensors among the inputs too."""
        tensors: dict[str, OnnxTensor] = {}
        for span in self._spans(5, "tensors", MAX_TENSORS):
            tensor = read_tensor(self._wire, span)
            if tensor.name in tensors:
                raise ModelCorrupt(f"two tensors are called {quoted(tensor.name)}", hint=HINT)
            tensors[tensor.name] = tensor
        inputs: list[Input] = []
        for span in self._spans(11, "inputs", MAX_INPUTS + MAX_TENSORS):
            info = read_value_info(self._wire, span)
            if info.name not in tensors:
                inputs.append(self._read_input(info))
        self._conversion.values.update((name, Stored(tensor)) for name, tensor in tensors.items())
        return tuple(inputs)

    def _read_input(self, info: ValueInfo) -> Input:
        if info.name in self._conversion.values:
            raise ModelCorrupt(f"two inputs are called {quoted(info.name)}", hint=HINT)
        if info.shape is None:
            raise OperatorUnsupported(
                f"the input {quoted(info.name)} is no tensor whose number of axes is known",
                hint="Export the network with inputs of a known rank.",
            )
        check_shape(info.name, info.shape, ModelCorrupt, hint=HINT)
        name = self._conversion.name_value(info.name)
        dtype = element_type(info.element_type, info.name)
        self._conversion.values[info.name] = Computed(ValueRef(name), dtype, info.shape)
        return Input(name, dtype, info.shape)

    def _needed(self, nodes: Sequence[OnnxNode], outputs: Iterable[str]) -> list[OnnxNode]:
        """The nodes that the outputs depend on, all of whose operators are read."""
        used = set(outputs)
        kept: list[OnnxNode] = []
        for node in reversed(nodes):
            if used.intersection(node.outputs):
                kept.append(node)
                used.update(self._branches.inputs(node))
        return kept[::-1]

    def _convert_all(self, nodes: Sequence[OnnxNode], outputs: Iterable[str]) -> None:
        """Convert the nodes that the outputs depend on."""
        needed = self._needed(nodes, outputs)
        check_onnx_operators(node.operator for node in needed if node.operator != CONDITION)
        for node in needed:
            if node.operator == CONDITION:
                self._convert_branch(node)
            else:
                self._convert(node)

    def _convert_branch(self, node: OnnxNode) -> None:
        """The nodes of the branch that is taken, whose own names are forgotten after it."""
        values = self._conversion.values
        condition = self._conversion.items(self._conversion.find(node.inputs[0])) if node.inputs else None
        branch = self._branches.choose(node, condition)
        around = set(values)
        for name, tensor in branch.tensors.items():
            self._define(name, Stored(tensor))
        self._convert_all(branch.nodes, branch.outputs)
        results = [self._conversion.find(name) for name in branch.outputs]
        for name in values.keys() - around:
            del values[name]
        for name, value in zip(node.outputs, results, strict=False):
            self._define(name, value)

    def _convert(self, node: OnnxNode) -> None:
        conversion = self._conversion
        for name in node.inputs:
            if name in self._left_out:
                raise OperatorUnsupported(f"{quoted(name)} is a second result that is not computed here")
        inputs = tuple(conversion.find(name) if name else None for name in node.inputs)
        attributes = Attributes(node.operator, node.attributes)
        named = sum(bool(name) for name in node.outputs)
        made = CONVERTERS[node.operator](Call(conversion, node.operator, inputs, attributes, named))
        attributes.check_all_asked()
        values = made if isinstance(made, tuple) else (made,)
        for name, value in zip(node.outputs, values, strict=False):
            self._define(name, value)
        self._left_out.update(name for name in node.outputs[len(values) :] if name)

    def _define(self, name: str, value: Value) -> None:
        if not name:
            return
        if name in self._conversion.values:
            raise ModelCorrupt(f"two values are called {quoted(name)}", hint=HINT)
        if isinstance(value, Computed) and value.shape is None and (rank := self._rank_of(name)) is not None:
            value = Computed(value.ref, value.dtype, (None,) * rank)
        self._conversion.values[name] = value

    def _rank_of(self, name: str) -> int | None:
        """How many axes the file says that a value has; its sizes are computed, not believed."""
        if self._infos is None:
            spans = self._message.spans(13)
            self._infos = {Message(self._wire, span, "a value").text(1): span for span in spans[: 4 * MAX_NODES]}
        span = self._infos.get(name)
        shape = None if span is None else read_value_info(self._wire, span).shape
        return None if shape is None else len(shape)

    def _returned(self, name: str) -> ValueRef:
        if name in self._left_out:
            raise OperatorUnsupported(f"the network returns {quoted(name)}, which is not computed here")
        value = self._conversion.find(name)
        if isinstance(value, Computed):
            return value.ref
        tensor = self._conversion.tensor(value)
        return self._conversion.emit("aten.alias.default", value.dtype, value.shape, self=tensor).ref


def _opset(wire: Wire, model: Message) -> int:
    versions: dict[str, int] = {}
    for span in model.spans(8):
        entry = Message(wire, span, "an opset")
        versions[entry.text(1)] = entry.integer(2)
    found = next((versions[domain] for domain in sorted(DOMAINS) if domain in versions), None)
    if found is None:
        raise ModelCorrupt("the model does not say which operators of ai.onnx it uses", hint=HINT)
    if not OLDEST_OPSET <= found <= NEWEST_OPSET:
        raise ModelVersionUnsupported(
            f"the model uses opset {found}; read are {OLDEST_OPSET} to {NEWEST_OPSET}", hint=_EXPORT
        )
    return found


def _check_total(tensors: Mapping[str, TensorInfo], limits: Limits) -> None:
    total = sum(prod(info.shape) * DTYPES[info.dtype].itemsize for info in tensors.values())
    if total > limits.max_model_bytes:
        raise ModelTooLarge(f"the tensors of the network have {total} bytes; at most {limits.max_model_bytes} are read")
