"""Products with weights, in the layout that ONNX Runtime computes in two bits a weight.

A ternary weight on the right of a product, [in, out], becomes INT2 codes and a scale for each column:

    codes INT2 [in, out] ─► DequantizeLinear(axis=1, scale [out]) ─► MatMul

ONNX Runtime ≥ 1.29 fuses the two nodes into MatMulNBits; a Transpose between them, or codes stored as [out, in], would
prevent it. Convolutions and embeddings have no such kernel: their weights are dense constants (`builder.stored`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from sterna.export.onnx_graph.arithmetic import combine
from sterna.export.onnx_graph.builder import Builder, raw_tensor
from sterna.export.onnx_graph.turned import Stored
from sterna.export.onnx_graph.values import Rule, Value

Arguments = Mapping[str, Any]
COLUMNS = 4


def linear(b: Builder, a: Arguments) -> Value:
    """Write x @ wᵀ + bias."""
    weight = a["weight"]
    right = weight.turned() if isinstance(weight, Stored) else b.op("Transpose", weight, perm=[1, 0])
    y = product(b, a["input"], right)
    return y if a.get("bias") is None else biased(b, y, a["bias"])


def addmm(b: Builder, a: Arguments) -> Value:
    """Write beta · self + alpha · (mat1 @ mat2)."""
    y = _scaled(b, product(b, a["mat1"], a["mat2"]), a.get("alpha", 1))
    return biased(b, y, _scaled(b, a["self"], a.get("beta", 1)))


def biased(b: Builder, y: Value, bias: Value) -> Value:
    """Write y + bias, as y − (−bias) where the bias is a constant, which is the same to the last bit.

    ONNX Runtime makes a Gemm of MatMul and Add, and one node of that and an activation, before it looks for two-bit
    products: these would then be dequantised on each call. It leaves MatMul and Sub alone.
    """
    constant = b.known(bias)
    if constant is None or bias.dtype != "float32" or y.dtype != "float32":
        return combine(b, "Add", y, bias)
    return b.op("Sub", y, b.const(-constant))


def product(b: Builder, left: Value | Stored, right: Value | Stored) -> Value:
    """Write left @ right."""
    if isinstance(left, Stored):
        left = b.stored(left)
    if isinstance(right, Value):
        return b.op("MatMul", left, right)
    columns = right.shape[-1]
    weight = two_bit(b, right)
    if weight is None:
        return b.op("MatMul", left, b.stored(right))
    y = b.op("MatMul", left, weight)
    if weight.shape[1] == columns:
        return y
    made = b.op("Slice", y, b.ints([0]), b.ints([columns]), b.ints([y.rank - 1]))
    return Value(made.name, y.dtype, (*y.shape[:-1], columns))


def two_bit(b: Builder, weight: Stored) -> Value | None:
    """A ternary weight seen as [in, out] in two bits; None where it is not ternary, or scaled otherwise.

    Columns of zeros fill it up to a multiple of four: ONNX Runtime 1.32 fuses other widths, too, and computes them
    wrongly (docs/decisions/0010).
    """
    name, axes = weight.name, weight.axes
    if len(axes) != 2 or weight.dtype != "float32" or name not in b.artifact.manifest.ternary:
        return None
    scale = b.artifact.scale(name).transpose(axes)
    if scale.shape[0] != 1:
        return None
    fill = -weight.shape[1] % COLUMNS
    codes = np.pad(b.artifact.codes(name).transpose(axes), ((0, 0), (0, fill)))
    per_column = np.pad(np.broadcast_to(scale[0], weight.shape[1:]), (0, fill)).astype(np.float32)
    stored, scales = b.fresh(f"{name}.codes"), b.fresh(f"{name}.scale")
    b.initializers[stored] = raw_tensor(stored, TensorProto.INT2, codes.shape, pack_two_bit(codes))
    b.initializers[scales] = raw_tensor(scales, TensorProto.FLOAT, per_column.shape, per_column.tobytes())
    operands = (Value(stored, "int2", codes.shape), Value(scales, "float32", per_column.shape))
    return b.op("DequantizeLinear", *operands, axis=1, dtype="float32", shape=codes.shape)


def pack_two_bit(codes: NDArray[np.int8]) -> bytes:
    """Pack codes four a byte in row-major order, the first in the lowest bits, −1 as 0b11.

    codes  +1 0 −1 0      bits 01 00 11 00 from the lowest      byte 1 + 3·16 = 0x31
    """
    pairs = np.zeros(-(-codes.size // 4) * 4, np.uint8)
    pairs[: codes.size] = np.ascontiguousarray(codes).reshape(-1).view(np.uint8) & 3
    first, second, third, fourth = pairs.reshape(-1, 4).T
    return (first | second << 2 | third << 4 | fourth << 6).astype(np.uint8).tobytes()


def _scaled(b: Builder, value: Value, factor: float) -> Value:
    return value if factor == 1 else combine(b, "Mul", value, factor)


def _matmul(left: str, right: str) -> Rule:
    return lambda b, a: product(b, a[left], a[right])


def _einsum(b: Builder, a: Arguments) -> Value:
    return b.op("Einsum", *a["tensors"], equation=a["equation"].replace(" ", ""))


def _baddbmm(b: Builder, a: Arguments) -> Value:
    y = _scaled(b, product(b, a["batch1"], a["batch2"]), a.get("alpha", 1))
    return combine(b, "Add", _scaled(b, a["self"], a.get("beta", 1)), y)


PRODUCTS: Mapping[str, Rule] = {
    "aten.linear.default": linear,
    "aten.addmm.default": addmm,
    "aten.mm.default": _matmul("self", "mat2"),
    "aten.matmul.default": _matmul("self", "other"),
    "aten.bmm.default": _matmul("self", "mat2"),
    "aten.mv.default": _matmul("self", "vec"),
    "aten.dot.default": _matmul("self", "tensor"),
    "aten.baddbmm.default": _baddbmm,
    "aten.einsum.default": _einsum,
}
