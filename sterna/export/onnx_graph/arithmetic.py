"""Elementwise arithmetic and comparisons, in the element type in which torch computes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sterna.export.onnx_graph.builder import Builder
from sterna.export.onnx_graph.values import Rule, Value, result_dtype
from sterna.graph import DTYPES, FLOATING

Arguments = Mapping[str, Any]
Operand = Value | bool | float


def combine(b: Builder, kind: str, *operands: Operand) -> Value:
    """Write an ONNX operator of equal types, after bringing all operands to the type that torch would use."""
    dtype = result_dtype(*operands)
    return b.op(kind, *(operand_as(b, operand, dtype) for operand in operands))


def operand_as(b: Builder, operand: Operand, dtype: str) -> Value:
    """A value or a number as a value of an element type."""
    return b.cast(operand, dtype) if isinstance(operand, Value) else b.scalar(operand, dtype)


def floating(b: Builder, value: Value) -> Value:
    """The value, as float32 where it is not of a floating type: what torch does before a logarithm or a root."""
    return value if value.dtype in FLOATING else b.cast(value, "float32")


def unary(kind: str) -> Rule:
    """Write an ONNX operator of one operand that works on floating values."""
    return lambda b, a: b.op(kind, floating(b, a["self"]))


def _same(kind: str) -> Rule:
    return lambda b, a: b.op(kind, a["self"])


def _binary(kind: str) -> Rule:
    """Write self ∘ alpha · other."""

    def write(b: Builder, a: Arguments) -> Value:
        other, alpha = a["other"], a.get("alpha", 1)
        return combine(b, kind, a["self"], other if alpha == 1 else _times(b, other, alpha))

    return write


def _times(b: Builder, value: Operand, factor: float) -> Operand:
    return combine(b, "Mul", value, factor) if isinstance(value, Value) else value * factor


def _rsub(b: Builder, a: Arguments) -> Value:
    return combine(b, "Sub", a["other"], _times(b, a["self"], a.get("alpha", 1)))


def _divide(b: Builder, a: Arguments) -> Value:
    dtype = result_dtype(a["self"], a["other"])
    dtype = dtype if dtype in FLOATING else "float32"
    return b.op("Div", operand_as(b, a["self"], dtype), operand_as(b, a["other"], dtype))


def _square(b: Builder, a: Arguments) -> Value:
    return b.op("Mul", a["self"], a["self"])


def _rsqrt(b: Builder, a: Arguments) -> Value:
    return b.op("Reciprocal", b.op("Sqrt", floating(b, a["self"])))


def _log1p(b: Builder, a: Arguments) -> Value:
    return b.op("Log", combine(b, "Add", floating(b, a["self"]), 1))


def _power(b: Builder, a: Arguments) -> Value:
    exponent = a["exponent"]
    if exponent == 2:
        return _square(b, a)
    return combine(b, "Pow", a["self"], exponent)


def clamp(b: Builder, a: Arguments) -> Value:
    """Write min(max(self, least), most), where either may be missing."""
    value: Value = a["self"]
    if a.get("min") is not None:
        value = combine(b, "Max", value, a["min"])
    return value if a.get("max") is None else combine(b, "Min", value, a["max"])


def _where(b: Builder, a: Arguments) -> Value:
    dtype = result_dtype(a["self"], a["other"])
    return b.op("Where", b.cast(a["condition"], "bool"), *(operand_as(b, a[n], dtype) for n in ("self", "other")))


def _masked_fill(b: Builder, a: Arguments) -> Value:
    dtype = a["self"].dtype
    value = a["value"]
    if not isinstance(value, Value) and dtype in FLOATING and dtype != "bfloat16":
        value = max(min(value, float(np.finfo(DTYPES[dtype]).max)), float("-inf"))
    return b.op("Where", b.cast(a["mask"], "bool"), operand_as(b, value, dtype), a["self"])


def _compare(kind: str, *, negated: bool = False) -> Rule:
    def write(b: Builder, a: Arguments) -> Value:
        truth = combine(b, kind, a["self"], a["other"])
        return b.op("Not", truth) if negated else truth

    return write


ARITHMETIC: Mapping[str, Rule] = {
    "aten.add.Tensor": _binary("Add"),
    "aten.add.Scalar": _binary("Add"),
    "aten.sub.Tensor": _binary("Sub"),
    "aten.sub.Scalar": _binary("Sub"),
    "aten.mul.Tensor": _binary("Mul"),
    "aten.mul.Scalar": _binary("Mul"),
    "aten.div.Tensor": _divide,
    "aten.div.Scalar": _divide,
    "aten.rsub.Scalar": _rsub,
    "aten.neg.default": _same("Neg"),
    "aten.reciprocal.default": unary("Reciprocal"),
    "aten.abs.default": _same("Abs"),
    "aten.pow.Tensor_Scalar": _power,
    "aten.pow.Tensor_Tensor": _power,
    "aten.square.default": _square,
    "aten.sqrt.default": unary("Sqrt"),
    "aten.rsqrt.default": _rsqrt,
    "aten.exp.default": unary("Exp"),
    "aten.log.default": unary("Log"),
    "aten.log1p.default": _log1p,
    "aten.sin.default": unary("Sin"),
    "aten.cos.default": unary("Cos"),
    "aten.clamp.default": clamp,
    "aten.clamp_min.default": clamp,
    "aten.clamp_max.default": clamp,
    "aten.maximum.default": _binary("Max"),
    "aten.minimum.default": _binary("Min"),
    "aten.where.self": _where,
    "aten.masked_fill.Scalar": _masked_fill,
    "aten.gt.Scalar": _compare("Greater"),
    "aten.ge.Scalar": _compare("GreaterOrEqual"),
    "aten.lt.Scalar": _compare("Less"),
    "aten.le.Scalar": _compare("LessOrEqual"),
    "aten.eq.Scalar": _compare("Equal"),
    "aten.ne.Scalar": _compare("Equal", negated=True),
}
