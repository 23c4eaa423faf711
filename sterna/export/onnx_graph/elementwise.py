"""Elementwise functions beyond plain arithmetic: logic, comparisons of tensors, rounding, division with a remainder."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sterna.export.onnx_graph.arithmetic import ARITHMETIC, combine, floating, operand_as, unary
from sterna.export.onnx_graph.builder import Builder
from sterna.export.onnx_graph.values import Rule, Value, result_dtype
from sterna.graph import FLOATING

Arguments = Mapping[str, Any]


def _comparison(kind: str) -> Rule:
    return ARITHMETIC[f"aten.{kind}.Scalar"]


def _logical(kind: str) -> Rule:
    """Write a logical operator; what is not 0 is true."""
    return lambda b, a: b.op(kind, *(operand_as(b, a[name], "bool") for name in ("self", "other")))


def _bitwise(kind: str) -> Rule:
    """Write logic bit by bit; of truth values it is that of ONNX's logical operators."""

    def write(b: Builder, a: Arguments) -> Value:
        dtype = result_dtype(a["self"], a["other"])
        return b.op(
            kind if dtype == "bool" else f"Bitwise{kind}", *(operand_as(b, a[n], dtype) for n in ("self", "other"))
        )

    return write


def _not(b: Builder, a: Arguments) -> Value:
    return b.op("Not", b.cast(a["self"], "bool"))


def _bitwise_not(b: Builder, a: Arguments) -> Value:
    return b.op("Not" if a["self"].dtype == "bool" else "BitwiseNot", a["self"])


def truncated(b: Builder, x: Value) -> Value:
    """Write rounding towards 0."""
    return b.op("Mul", b.op("Sign", x), b.op("Floor", b.op("Abs", x)))


def _divided(b: Builder, a: Arguments, mode: str | None) -> Value:
    if mode is None:
        made = ARITHMETIC["aten.div.Tensor"](b, a)
        assert isinstance(made, Value)
        return made
    dtype = result_dtype(a["self"], a["other"])
    one, other = (operand_as(b, a[name], dtype) for name in ("self", "other"))
    if dtype in FLOATING:
        quotient = b.op("Div", one, other)
        return b.op("Floor", quotient) if mode == "floor" else truncated(b, quotient)
    if mode == "trunc":
        return b.op("Div", one, other)
    return b.op("Div", b.op("Sub", one, b.op("Mod", one, other)), other)  # Mod has the sign of the divisor


def _with_mode(b: Builder, a: Arguments) -> Value:
    return _divided(b, a, a.get("rounding_mode"))


def _floor_divide(b: Builder, a: Arguments) -> Value:
    return _divided(b, a, "floor")


def _remainder(b: Builder, a: Arguments) -> Value:
    dtype = result_dtype(a["self"], a["other"])
    one, other = (operand_as(b, a[name], dtype) for name in ("self", "other"))
    if dtype not in FLOATING:
        return b.op("Mod", one, other)
    return b.op("Sub", one, b.op("Mul", b.op("Floor", b.op("Div", one, other)), other))


def _fmod(b: Builder, a: Arguments) -> Value:
    dtype = result_dtype(a["self"], a["other"])
    return b.op("Mod", *(operand_as(b, a[name], dtype) for name in ("self", "other")), fmod=1)


def _after(kind: str, then: str, number: float) -> Rule:
    """Write a function of one operand, and arithmetic with a number after it."""
    return lambda b, a: combine(b, then, b.op(kind, floating(b, a["self"])), number)


def _exp2(b: Builder, a: Arguments) -> Value:
    return b.op("Exp", combine(b, "Mul", floating(b, a["self"]), math.log(2)))


def _erfc(b: Builder, a: Arguments) -> Value:
    return combine(b, "Sub", 1.0, b.op("Erf", a["self"]))


def _trunc(b: Builder, a: Arguments) -> Value:
    return truncated(b, a["self"])


def _frac(b: Builder, a: Arguments) -> Value:
    return b.op("Sub", a["self"], truncated(b, a["self"]))


def _finite(b: Builder, a: Arguments) -> Value:
    return b.op("Not", b.op("Or", b.op("IsNaN", a["self"]), b.op("IsInf", a["self"])))


def _add_product(kind: str) -> Rule:
    """Write self + value · (tensor1 ∘ tensor2)."""

    def write(b: Builder, a: Arguments) -> Value:
        inner = combine(b, kind, a["tensor1"], a["tensor2"])
        value = a.get("value", 1)
        return combine(b, "Add", a["self"], inner if value == 1 else combine(b, "Mul", inner, value))

    return write


def _lerp(b: Builder, a: Arguments) -> Value:
    step = combine(b, "Sub", a["end"], a["self"])
    return combine(b, "Add", a["self"], combine(b, "Mul", step, a["weight"]))


def _where(b: Builder, a: Arguments) -> Value:
    dtype = result_dtype(a["self"], a["other"])
    return b.op("Where", b.cast(a["condition"], "bool"), *(operand_as(b, a[n], dtype) for n in ("self", "other")))


def _type_of_other(b: Builder, a: Arguments) -> Value:
    return b.cast(a["self"], a["other"].dtype)


def _power_of_number(b: Builder, a: Arguments) -> Value:
    return combine(b, "Pow", a["self"], a["exponent"])


def _threshold(b: Builder, a: Arguments) -> Value:
    x: Value = a["self"]
    return b.op("Where", combine(b, "Greater", x, a["threshold"]), x, operand_as(b, a["value"], x.dtype))


def _shrink(b: Builder, a: Arguments, bias: float) -> Value:
    return b.op("Shrink", a["self"], lambd=float(a.get("lambd", 0.5)), bias=bias)


ELEMENTWISE: Mapping[str, Rule] = {
    **{f"aten.{kind}.Tensor": _comparison(kind) for kind in ("gt", "ge", "lt", "le", "eq", "ne")},
    **{f"aten.logical_{kind}.default": _logical(kind.title()) for kind in ("and", "or", "xor")},
    **{f"aten.bitwise_{kind}.Tensor": _bitwise(kind.title()) for kind in ("and", "or", "xor")},
    **{f"aten.bitwise_{kind}.Scalar": _bitwise(kind.title()) for kind in ("and", "or", "xor")},
    **{f"aten.__{kind}__.{form}": _bitwise(kind.title())
       for kind in ("and", "or", "xor") for form in ("Tensor", "Scalar")},
    "aten.logical_not.default": _not,
    "aten.bitwise_not.default": _bitwise_not,
    **{f"aten.{kind}.default": unary(kind.title())
       for kind in ("acos", "acosh", "asin", "asinh", "atan", "atanh", "cosh", "sinh", "tan", "erf")},
    **{f"aten.{kind}.default": unary(kind.title()) for kind in ("ceil", "floor", "round", "sign")},
    "aten.exp2.default": _exp2,
    "aten.expm1.default": _after("Exp", "Sub", 1.0),
    "aten.log2.default": _after("Log", "Div", math.log(2)),
    "aten.log10.default": _after("Log", "Div", math.log(10)),
    "aten.erfc.default": _erfc,
    "aten.trunc.default": _trunc,
    "aten.frac.default": _frac,
    "aten.isnan.default": lambda b, a: b.op("IsNaN", a["self"]),
    "aten.isinf.default": lambda b, a: b.op("IsInf", a["self"]),
    "aten.isfinite.default": _finite,
    "aten.multiply.Tensor": ARITHMETIC["aten.mul.Tensor"],
    "aten.subtract.Tensor": ARITHMETIC["aten.sub.Tensor"],
    "aten.divide.Tensor": ARITHMETIC["aten.div.Tensor"],
    "aten.true_divide.Tensor": ARITHMETIC["aten.div.Tensor"],
    "aten.rsub.Tensor": ARITHMETIC["aten.rsub.Scalar"],
    "aten.max.other": ARITHMETIC["aten.maximum.default"],
    "aten.min.other": ARITHMETIC["aten.minimum.default"],
    **{f"aten.{name}": ARITHMETIC["aten.clamp.default"]
       for name in ("clip.default", "clamp.Tensor", "clamp_min.Tensor", "clamp_max.Tensor")},
    "aten.div.Tensor_mode": _with_mode,
    "aten.div.Scalar_mode": _with_mode,
    "aten.floor_divide.default": _floor_divide,
    "aten.floor_divide.Scalar": _floor_divide,
    "aten.remainder.Tensor": _remainder,
    "aten.remainder.Scalar": _remainder,
    "aten.fmod.Tensor": _fmod,
    "aten.fmod.Scalar": _fmod,
    "aten.addcmul.default": _add_product("Mul"),
    "aten.addcdiv.default": _add_product("Div"),
    "aten.lerp.Scalar": _lerp,
    "aten.lerp.Tensor": _lerp,
    **{f"aten.where.{name}": _where for name in ("Scalar", "ScalarSelf", "ScalarOther")},
    "aten.masked_fill.Tensor": ARITHMETIC["aten.masked_fill.Scalar"],
    "aten.type_as.default": _type_of_other,
    "aten.to.other": _type_of_other,
    "aten.pow.Scalar": _power_of_number,
    "aten.threshold.default": _threshold,
    "aten.hardshrink.default": lambda b, a: _shrink(b, a, 0.0),
    "aten.softshrink.default": lambda b, a: _shrink(b, a, float(a.get("lambd", 0.5))),
}  # fmt: skip
