"""Walk the graph of an artifact and write each node by its rule."""

from __future__ import annotations

from typing import Any

import onnx
from onnx import helper

import sterna
from sterna.artifact import Artifact
from sterna.errors import ExportUnsupported, ModelTooLarge
from sterna.export.onnx_graph.builder import IR_VERSION, ONNX_TYPES, OPSET, Builder
from sterna.export.onnx_graph.table import RULES
from sterna.export.onnx_graph.turned import StoredTensors
from sterna.export.onnx_graph.values import Value
from sterna.graph import OPERATORS, Argument, Dtype, Graph, Node, ValueRef

MAX_ONNX_BYTES = 2**31 - 1
"""What a protobuf message, and so an ONNX file without external data, may have."""


def build_onnx(artifact: Artifact) -> onnx.ModelProto:
    """Write the network of an artifact as an ONNX model in evaluation mode; the same artifact gives the same model.

    Its inputs and outputs have the names of the network's, and the sizes; one that may differ has a name.

    Raises:
        ExportUnsupported: operators without a rule, by name, or a use of one that ONNX cannot say.
        ModelTooLarge: the file would exceed 2 GiB.
        ArtifactCorrupt, ArtifactDigestMismatch: as `Artifact.dense`.
    """
    graph = artifact.graph
    refuse_without_rule(graph)
    b = Builder(artifact)
    walk = _Walk(b, graph)
    for node in graph.nodes:
        walk.write(node)
    outputs = [_output(b, walk.resolve(reference)) for reference in graph.outputs]
    return _model(b, graph, outputs)


def refuse_without_rule(graph: Graph) -> None:
    """Refuse a graph with operators that have no rule.

    Raises:
        ExportUnsupported: their names.
    """
    missing = sorted({node.operator for node in graph.nodes} - RULES.keys())
    if missing:
        raise ExportUnsupported(
            f"the network uses operators that cannot be written to ONNX yet: {', '.join(missing)}",
            hint="Export to pt2 or safetensors instead.",
        )


class _Walk:
    """The nodes of a graph, one after the other, and what each has made."""

    def __init__(self, b: Builder, graph: Graph) -> None:
        self._b = b
        self._stored = StoredTensors(graph)
        self._values: dict[str, Any] = {
            item.name: Value(b.fresh(item.name), item.dtype, item.shape) for item in graph.inputs
        }

    def write(self, node: Node) -> None:
        """Write one node by its rule."""
        if self._stored.follow(node):
            return
        self._b.operator = node.operator
        operator = OPERATORS[node.operator]
        # Only products choose the form in which their weights are stored.
        weights = {*operator.weights, operator.left} if operator.kind == "linear" else set()
        arguments = {
            name: (self._stored.find(argument) if name in weights else None) or self.resolve(argument)
            for name, argument in node.arguments.items()
        }
        made = RULES[node.operator](self._b, arguments)
        if node.unpacked or len(node.outputs) > 1:
            assert isinstance(made, tuple), node.operator
            self._values.update(zip(node.outputs, made, strict=True))
        else:
            self._values[node.outputs[0]] = made

    def resolve(self, argument: Argument) -> Any:  # noqa: ANN401
        """What a rule works on: values, numbers, texts, names of element types, and lists of these."""
        if isinstance(argument, tuple):
            return [self.resolve(item) for item in argument]
        if isinstance(argument, Dtype):
            return argument.name
        if stored := self._stored.find(argument):
            return self._b.stored(stored)
        if not isinstance(argument, ValueRef):
            return argument
        value = self._values[argument.name]
        if value is None:
            raise self._b.refuse(f"with {argument.name}, an output of an earlier operator that is not written")
        return value


def _output(b: Builder, made: Any) -> Value:  # noqa: ANN401  a value, or a size
    """A value under a name of its own, even where it is an input, a constant or given twice."""
    value = made if isinstance(made, Value) else b.scalar(made, "int64")
    return b.op("Identity", value, dtype=value.dtype, shape=value.shape)


def _model(b: Builder, graph: Graph, outputs: list[Value]) -> onnx.ModelProto:
    inputs = [_described(item.name, item.dtype, item.shape) for item in graph.inputs]
    described = [_described(value.name, value.dtype, value.shape) for value in outputs]
    used = {name for node in b.nodes for name in node.input}
    constants = [tensor for name, tensor in b.initializers.items() if name in used]
    size_bytes = sum(len(tensor.raw_data) for tensor in constants)
    if size_bytes > MAX_ONNX_BYTES:
        raise ModelTooLarge(
            f"the ONNX file would hold {size_bytes} bytes of tensors, at most {MAX_ONNX_BYTES} are possible",
            hint="Export to gguf or safetensors instead.",
        )
    body = helper.make_graph(b.nodes, "network", inputs, described, constants)
    return helper.make_model(
        body,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="sterna",
        producer_version=sterna.__version__,
    )


def _described(name: str, dtype: str, shape: tuple[int | None, ...]) -> onnx.ValueInfoProto:
    """Name, type and sizes of an input or output. The first size that may differ is called `batch`."""
    sizes = [("batch" if axis == 0 else f"{name}_{axis}") if size is None else size for axis, size in enumerate(shape)]
    return helper.make_tensor_value_info(name, ONNX_TYPES[dtype], sizes)
