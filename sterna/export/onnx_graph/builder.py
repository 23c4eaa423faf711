"""Nodes, constants and their types: what the rules of the emitter write an ONNX graph with.

The type and the sizes of each value are inferred by onnx itself, node by node, as the graph grows; a rule gives them
where onnx cannot know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, shape_inference

from sterna.artifact import Artifact
from sterna.errors import ExportUnsupported
from sterna.export.onnx_graph.turned import Stored
from sterna.export.onnx_graph.values import Shape, Size, Value
from sterna.graph import DTYPES

OPSET = 25
IR_VERSION = 13
ONNX_TYPES: Mapping[str, int] = {
    "float64": TensorProto.DOUBLE,
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "bfloat16": TensorProto.BFLOAT16,
    "int64": TensorProto.INT64,
    "int32": TensorProto.INT32,
    "int16": TensorProto.INT16,
    "int8": TensorProto.INT8,
    "uint8": TensorProto.UINT8,
    "bool": TensorProto.BOOL,
}
_DTYPES = {number: name for name, number in ONNX_TYPES.items()}
_MOST_KNOWN = 256
"""Constants of at most so many elements are shown to the inference of sizes."""


class Builder:
    """An ONNX graph that grows.

    Args:
        artifact: whose network is written; its tensors may be asked for.

    Attributes:
        nodes: in the order they run.
        initializers: constants, by name.
        operator: of the network, the one that is being written; messages name it.
    """

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, TensorProto] = {}
        self.operator = ""
        self._names: set[str] = set()
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Value] = {}
        self._stored: dict[tuple[str, tuple[int, ...]], Value] = {}

    def fresh(self, wish: str) -> str:
        """A name that no other value has."""
        name, count = wish, 0
        while name in self._names:
            count += 1
            name = f"{wish}_{count}"
        self._names.add(name)
        return name

    def op(
        self,
        kind: str,
        *inputs: Value | None,
        dtype: str | None = None,
        shape: Shape | None = None,
        **attributes: Any,  # noqa: ANN401  whatever the ONNX operator takes
    ) -> Value:
        """Add a node of one output; `dtype` and `shape` where onnx cannot infer them, other names are attributes."""
        [value] = self.ops(kind, *inputs, outputs=1, dtype=dtype, shape=shape, **attributes)
        return value

    def ops(
        self,
        kind: str,
        *inputs: Value | None,
        outputs: int,
        dtype: str | None = None,
        shape: Shape | None = None,
        **attributes: Any,  # noqa: ANN401
    ) -> tuple[Value, ...]:
        """Add a node of several outputs, all of the given `dtype` and `shape` where these are given."""
        names = [self.fresh(kind.lower()) for _ in range(outputs)]
        given_names = [value.name if value else "" for value in inputs]
        # Left out, not written as empty: ONNX Runtime 1.32 crashes on a layer normalisation with an empty last input.
        while given_names and not given_names[-1]:
            given_names.pop()
        node = helper.make_node(kind, given_names, names, name=names[0])
        given = {name: value for name, value in attributes.items() if value is not None}
        node.attribute.extend(helper.make_attribute(name, given[name]) for name in sorted(given))
        self.nodes.append(node)
        inferred = {} if dtype and shape is not None else self._infer(node, [value for value in inputs if value])
        return tuple(self._made(name, inferred.get(name), dtype, shape) for name in names)

    def const(self, array: NDArray[Any], dtype: str | None = None) -> Value:
        """A constant; equal small ones are stored once. `dtype` where numpy has no such type."""
        dtype = dtype or str(array.dtype)
        data = np.ascontiguousarray(array, DTYPES[dtype]).tobytes()
        key = (dtype, array.shape, data)
        if array.size <= _MOST_KNOWN and key in self._constants:
            return self._constants[key]
        value = Value(self.fresh("constant"), dtype, array.shape)
        self.initializers[value.name] = raw_tensor(value.name, ONNX_TYPES[dtype], array.shape, data)
        if array.size <= _MOST_KNOWN:
            self._constants[key] = value
        return value

    def ints(self, numbers: Iterable[int]) -> Value:
        """A constant int64 [n]."""
        return self.const(np.array(list(numbers), np.int64).reshape(-1))

    def scalar(self, number: bool | float, dtype: str) -> Value:
        """A constant without axes."""
        if dtype == "bfloat16":
            return self.cast(self.scalar(number, "float32"), dtype)
        return self.const(np.array(number, DTYPES[dtype]))

    def stored(self, tensor: Stored) -> Value:
        """A tensor of the network as a dense constant, in the order of axes in which it is seen."""
        key = (tensor.name, tensor.axes)
        if key not in self._stored:
            dtype = tensor.dtype
            array = as_dtype(self.artifact.dense(tensor.name), dtype).transpose(tensor.axes)
            value = Value(self.fresh(tensor.name), dtype, array.shape)
            data = np.ascontiguousarray(array).tobytes()
            self.initializers[value.name] = raw_tensor(value.name, ONNX_TYPES[dtype], array.shape, data)
            self._stored[key] = value
        return self._stored[key]

    def known(self, value: Value) -> NDArray[Any] | None:
        """The elements of a constant, None where the value is computed."""
        tensor = self.initializers.get(value.name)
        if tensor is None or value.dtype not in DTYPES:
            return None
        return np.frombuffer(tensor.raw_data, DTYPES[value.dtype]).reshape(tuple(tensor.dims))

    def cast(self, value: Value, dtype: str) -> Value:
        """The value in another element type, itself where it has that type."""
        if value.dtype == dtype:
            return value
        return self.op("Cast", value, to=ONNX_TYPES[dtype], dtype=dtype, shape=value.shape)

    def size(self, value: Value, axis: int) -> Size:
        """The size of one axis: a number where it is known, else computed."""
        axis = value.axis(axis)
        known = value.shape[axis]
        if known is not None:
            return known
        [size] = self.ops("Shape", value, outputs=1, start=axis, end=axis + 1, dtype="int64", shape=(1,))
        return self.op("Squeeze", size, self.ints([0]), dtype="int64", shape=())

    def known_size(self, value: Value, axis: int) -> int:
        """The size of an axis that the graph must fix.

        Raises:
            ExportUnsupported: it follows from the inputs.
        """
        size = value.shape[value.axis(axis)]
        if size is None:
            raise ExportUnsupported(
                f"{self.operator} cannot be written to ONNX where the size of axis {axis} follows from the inputs",
                hint="Export the original network with that axis fixed.",
            )
        return size

    def vector(self, sizes: Iterable[Size]) -> Value:
        """Sizes as int64 [n], a constant where all are numbers."""
        sizes = list(sizes)
        if all(isinstance(size, int) for size in sizes):
            return self.ints(size for size in sizes if isinstance(size, int))
        parts = [
            self.ints([size])
            if isinstance(size, int)
            else self.op("Unsqueeze", size, self.ints([0]), dtype="int64", shape=(1,))
            for size in sizes
        ]
        return self.op("Concat", *parts, axis=0, dtype="int64", shape=(len(parts),))

    def reshape(self, value: Value, sizes: Iterable[Size]) -> Value:
        """The value in another shape; one size may be −1, and one that is computed is written as −1 where none is."""
        sizes = list(sizes)
        computed = [index for index, size in enumerate(sizes) if not isinstance(size, int)]
        if len(computed) == 1 and -1 not in sizes and 0 not in sizes:
            sizes[computed[0]] = -1
        shape = tuple(size if isinstance(size, int) and size >= 0 else None for size in sizes)
        shape = _completed(shape, value.shape)
        allow_zero = 1 if 0 in sizes else None
        return self.op("Reshape", value, self.vector(sizes), allowzero=allow_zero, dtype=value.dtype, shape=shape)

    def refuse(self, why: str) -> ExportUnsupported:
        """The error that says what of the present operator cannot be written."""
        return ExportUnsupported(
            f"{self.operator} cannot be written to ONNX {why}",
            hint="Export to pt2 or safetensors instead, or leave that operator out of the network.",
        )

    def _infer(self, node: onnx.NodeProto, inputs: list[Value]) -> Mapping[str, onnx.TypeProto]:
        types = {v.name: helper.make_tensor_type_proto(ONNX_TYPES[v.dtype], v.shape) for v in inputs}
        known = {v.name: self.initializers[v.name] for v in inputs if v.name in self._small()}
        schema = onnx.defs.get_schema(node.op_type, OPSET, "")
        inferred: Mapping[str, onnx.TypeProto] = shape_inference.infer_node_outputs(
            schema, node, types, input_data=known, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
        )
        return inferred

    def _small(self) -> set[str]:
        return {value.name for value in self._constants.values()}

    def _made(self, name: str, inferred: onnx.TypeProto | None, dtype: str | None, shape: Shape | None) -> Value:
        kind = inferred.tensor_type if inferred is not None else None
        if dtype is None and kind is not None and kind.elem_type:
            dtype = _DTYPES[kind.elem_type]
        if shape is None and kind is not None and kind.HasField("shape"):
            shape = tuple(size.dim_value if size.HasField("dim_value") else None for size in kind.shape.dim)
        assert dtype is not None, name
        assert shape is not None, name
        return Value(name, dtype, shape)


def raw_tensor(name: str, onnx_type: int, shape: tuple[int, ...], data: bytes) -> TensorProto:
    """A constant from its little-endian bytes."""
    return TensorProto(name=name, data_type=onnx_type, dims=shape, raw_data=data)


def as_dtype(array: NDArray[Any], dtype: str) -> NDArray[Any]:
    """An array as the network has it; float32 becomes the bit patterns of bfloat16 by rounding to even."""
    if dtype != "bfloat16" or array.dtype == np.uint16:
        return array.astype(DTYPES[dtype], copy=False)
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def _completed(shape: Shape, source: Shape) -> Shape:
    """Sizes with the one that is missing, where the number of elements gives it."""
    if shape.count(None) != 1 or None in source:
        return shape
    known = int(np.prod([size for size in shape if size is not None], dtype=np.int64))
    whole = int(np.prod([size or 0 for size in source], dtype=np.int64))
    return tuple(whole // known if size is None and known else size for size in shape)
