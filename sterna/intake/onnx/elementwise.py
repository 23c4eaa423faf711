"""ONNX operators that work on each element: arithmetic, comparisons, logic, casts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from sterna.graph import FLOATING, Argument, Dtype
from sterna.intake.onnx.call import Call, Converter
from sterna.intake.onnx.folding import fold_arithmetic, fold_cast, fold_each, fold_where
from sterna.intake.onnx.tensors import element_type
from sterna.intake.onnx.values import Computed, Items, Value, broadcast


def plain(operator: str, call: Call) -> Value:
    """One tensor in, one of the same type and shape out, no attributes."""
    value = call.input(0)
    return fold_each(call) or call.like(operator, value, self=call.graph.tensor(value))


def _truth(operator: str, call: Call) -> Value:
    value = call.input(0)
    return fold_each(call) or call.graph.emit(operator, "bool", value.shape, self=call.graph.tensor(value))


def _binary(operator: str, call: Call) -> Value:
    return _combine(call, operator, call.input(0), call.input(1))


def _commutative(operator: str, call: Call) -> Value:
    """As `_binary`; a number may stand on either side."""
    a, b = call.input(0), call.input(1)
    if isinstance(call.graph.items(a), Items) and isinstance(b, Computed):
        a, b = b, a
    return _combine(call, operator, a, b)


def _comparison(operator: str, call: Call) -> Value:
    return _combine(call, operator, call.input(0), call.input(1), dtype="bool", tensors=True)


def _bits(operator: str, call: Call) -> Value:
    return _combine(call, operator, call.input(0), call.input(1), tensors=True)


def _combine(  # noqa: PLR0913  two sides and what comes out
    call: Call, operator: str, a: Value, b: Value, *, dtype: str | None = None, tensors: bool = False
) -> Value:
    folded = fold_arithmetic(call, a, b)
    if folded is not None:
        return folded
    other = call.graph.tensor(b) if tensors else call.graph.operand(b)
    left = call.graph.operand(a)
    if not _is_tensor(left):
        left = call.graph.tensor(a)
    return call.graph.emit(operator, dtype or a.dtype, broadcast(a.shape, b.shape), self=left, other=other)


def _is_tensor(argument: Argument) -> bool:
    return not isinstance(argument, bool | int | float)


def _div(call: Call) -> Value:
    a, b = call.input(0), call.input(1)
    folded = fold_arithmetic(call, a, b)
    if folded is not None:
        return folded
    if a.dtype in FLOATING:
        return _combine(call, "aten.div.Tensor", a, b)
    shape = broadcast(a.shape, b.shape)  # whole numbers are divided towards zero
    left, right = call.graph.tensor(a), call.graph.tensor(b)
    return call.graph.emit("aten.div.Tensor_mode", a.dtype, shape, self=left, other=right, rounding_mode="trunc")


def _mod(call: Call) -> Value:
    """The sign is that of the divisor; with `fmod`, which floats need, that of what is divided."""
    as_in_c = bool(call.attributes.integer("fmod", 0))
    operator = "aten.fmod.Tensor" if as_in_c else "aten.remainder.Tensor"
    return _combine(call, operator, call.input(0), call.input(1), tensors=True)


def _is_inf(call: Call) -> Value:
    """Of both signs, or of one."""
    value = call.input(0)
    signs = tuple(bool(call.attributes.integer(f"detect_{sign}", 1)) for sign in ("negative", "positive"))
    tensor = call.graph.tensor(value)
    if signs == (True, True):
        return call.graph.emit("aten.isinf.default", "bool", value.shape, self=tensor)
    if signs == (False, False):
        return call.graph.emit("aten.zeros_like.default", "bool", value.shape, self=tensor, dtype=Dtype("bool"))
    infinite = math.inf if signs[1] else -math.inf
    return call.graph.emit("aten.eq.Scalar", "bool", value.shape, self=tensor, other=infinite)


def _pow(call: Call) -> Value:
    folded = fold_arithmetic(call, call.input(0), call.input(1))
    if folded is not None:
        return folded
    base, exponent = call.input(0), call.graph.items(call.input(1))
    if exponent is not None and exponent.is_known and len(exponent.elements) == 1:
        return call.like("aten.pow.Tensor_Scalar", base, self=call.graph.tensor(base), exponent=exponent.elements[0])
    power = call.input(1)
    shape = broadcast(base.shape, power.shape)
    tensor = call.graph.tensor
    return call.graph.emit("aten.pow.Tensor_Tensor", base.dtype, shape, self=tensor(base), exponent=tensor(power))


def _of_many(operator: str, call: Call) -> Value:
    """Sum, Max and Min take any number of tensors."""
    result = call.input(0)
    for index in range(1, len(call.inputs)):
        other = call.input(index)
        result = _combine(call, operator, result, other, tensors=operator != "aten.add.Tensor")
    return result


def _mean(call: Call) -> Value:
    total = _of_many("aten.add.Tensor", call)
    return call.like("aten.div.Tensor", total, self=call.graph.tensor(total), other=len(call.inputs))


def _where(call: Call) -> Value:
    folded = fold_where(call)
    if folded is not None:
        return folded
    condition, one, other = call.input(0), call.input(1), call.input(2)
    shape = broadcast(condition.shape, one.shape, other.shape)
    tensor = call.graph.tensor
    return call.graph.emit(
        "aten.where.self", one.dtype, shape, condition=tensor(condition), self=tensor(one), other=tensor(other)
    )


def _cast(call: Call) -> Value:
    call.attributes.ignore("saturate", "round_mode")
    return _to(call, element_type(call.attributes.integer("to", 0), "the result of Cast"))


def _cast_like(call: Call) -> Value:
    call.attributes.ignore("saturate", "round_mode")
    return _to(call, call.input(1).dtype)


def _to(call: Call, dtype: str) -> Value:
    value = call.input(0)
    items = call.graph.items(value)
    folded = None if items is None else fold_cast(call, items, dtype)
    if folded is not None:
        return folded
    if value.dtype == dtype:
        return value
    return call.graph.emit("aten.to.dtype", dtype, value.shape, self=call.graph.tensor(value), dtype=Dtype(dtype))


def _identity(call: Call) -> Value:
    return call.input(0)


_PLAIN: Final[Mapping[str, str]] = {
    "Abs": "aten.abs.default",
    "Acos": "aten.acos.default",
    "Acosh": "aten.acosh.default",
    "Asin": "aten.asin.default",
    "Asinh": "aten.asinh.default",
    "Atan": "aten.atan.default",
    "Atanh": "aten.atanh.default",
    "BitwiseNot": "aten.bitwise_not.default",
    "Ceil": "aten.ceil.default",
    "Cos": "aten.cos.default",
    "Cosh": "aten.cosh.default",
    "Erf": "aten.erf.default",
    "Exp": "aten.exp.default",
    "Floor": "aten.floor.default",
    "Log": "aten.log.default",
    "Neg": "aten.neg.default",
    "Reciprocal": "aten.reciprocal.default",
    "Round": "aten.round.default",
    "Sign": "aten.sign.default",
    "Sin": "aten.sin.default",
    "Sinh": "aten.sinh.default",
    "Sqrt": "aten.sqrt.default",
    "Tan": "aten.tan.default",
}

_COMPARISONS: Final[Mapping[str, str]] = {
    "Equal": "aten.eq.Tensor",
    "Greater": "aten.gt.Tensor",
    "GreaterOrEqual": "aten.ge.Tensor",
    "Less": "aten.lt.Tensor",
    "LessOrEqual": "aten.le.Tensor",
    "And": "aten.logical_and.default",
    "Or": "aten.logical_or.default",
    "Xor": "aten.logical_xor.default",
}

_ON_BITS: Final[Mapping[str, str]] = {
    "BitwiseAnd": "aten.bitwise_and.Tensor",
    "BitwiseOr": "aten.bitwise_or.Tensor",
    "BitwiseXor": "aten.bitwise_xor.Tensor",
}


def _each(function: Callable[[str, Call], Value], names: Mapping[str, str]) -> dict[str, Converter]:
    return {name: partial(function, operator) for name, operator in names.items()}


ELEMENTWISE: Final[Mapping[str, Converter]] = {
    **_each(plain, _PLAIN),
    **_each(_comparison, _COMPARISONS),
    **_each(_bits, _ON_BITS),
    **_each(_truth, {"Not": "aten.logical_not.default", "IsNaN": "aten.isnan.default"}),
    **_each(_commutative, {"Add": "aten.add.Tensor", "Mul": "aten.mul.Tensor"}),
    **_each(_binary, {"Sub": "aten.sub.Tensor"}),
    **_each(_of_many, {"Sum": "aten.add.Tensor", "Max": "aten.maximum.default", "Min": "aten.minimum.default"}),
    "Cast": _cast,
    "CastLike": _cast_like,
    "Div": _div,
    "Identity": _identity,
    "IsInf": _is_inf,
    "Mean": _mean,
    "Mod": _mod,
    "Pow": _pow,
    "Where": _where,
}
