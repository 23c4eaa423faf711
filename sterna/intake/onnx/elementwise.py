"""ONNX operators that work on each element: arithmetic, comparisons, activations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from math import prod
from typing import Final

from sterna.graph import FLOATING, Argument, Dtype
from sterna.intake.onnx.call import Call, Converter
from sterna.intake.onnx.folding import fold_arithmetic, fold_cast, fold_where
from sterna.intake.onnx.tensors import element_type
from sterna.intake.onnx.values import Computed, Items, Value, broadcast


def _plain(operator: str, call: Call) -> Value:
    """One tensor in, one of the same type and shape out, no attributes."""
    value = call.input(0)
    return call.like(operator, value, self=call.graph.tensor(value))


def _truth(operator: str, call: Call) -> Value:
    value = call.input(0)
    return call.graph.emit(operator, "bool", value.shape, self=call.graph.tensor(value))


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
    if a.dtype not in FLOATING:
        raise call.refuse("it divides whole numbers that are data")
    return _binary("aten.div.Tensor", call)


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
    if items is not None:
        call.graph.work(len(items.elements))
        return fold_cast(items, dtype)
    if value.dtype == dtype:
        return value
    return call.graph.emit("aten.to.dtype", dtype, value.shape, self=call.graph.tensor(value), dtype=Dtype(dtype))


def _identity(call: Call) -> Value:
    return call.input(0)


def _clip(call: Call) -> Value:
    value = call.input(0)
    if call.opset < 11:
        least: float | None = call.attributes.number("min", -math.inf)
        most: float | None = call.attributes.number("max", math.inf)
    else:
        lower, upper = call.numbers(1), call.numbers(2)
        least, most = lower[0] if lower else None, upper[0] if upper else None
    bounds: dict[str, Argument] = {}
    for name, bound in (("min", least), ("max", most)):
        if bound is not None and math.isfinite(bound):
            bounds[name] = bound if value.dtype in FLOATING else int(bound)
    if not bounds:
        return value
    return call.like("aten.clamp.default", value, self=call.graph.tensor(value), **bounds)


def _leaky_relu(call: Call) -> Value:
    value, slope = call.input(0), call.attributes.number("alpha", 0.01)
    return call.like("aten.leaky_relu.default", value, self=call.graph.tensor(value), negative_slope=slope)


def _elu(operator: str, call: Call) -> Value:
    value, alpha = call.input(0), call.attributes.number("alpha", 1.0)
    return call.like(operator, value, self=call.graph.tensor(value), alpha=alpha)


def _selu(call: Call) -> Value:
    alpha, scale = call.attributes.number("alpha", 1.6732632), call.attributes.number("gamma", 1.0507010)
    value = call.input(0)
    return call.like("aten.elu.default", value, self=call.graph.tensor(value), alpha=alpha, scale=scale)


def _gelu(call: Call) -> Value:
    value, approximate = call.input(0), call.attributes.text("approximate", "none")
    return call.like("aten.gelu.default", value, self=call.graph.tensor(value), approximate=approximate)


def _hard_sigmoid(call: Call) -> Value:
    """max(0, min(1, alpha · x + beta))."""
    value = call.input(0)
    alpha, beta = call.attributes.number("alpha", 0.2), call.attributes.number("beta", 0.5)
    if math.isclose(alpha, 1 / 6, rel_tol=1e-5) and beta == 0.5:
        return call.like("aten.hardsigmoid.default", value, self=call.graph.tensor(value))
    scaled = call.like("aten.mul.Tensor", value, self=call.graph.tensor(value), other=alpha)
    moved = call.like("aten.add.Tensor", value, self=scaled.ref, other=beta)
    return call.like("aten.clamp.default", value, self=moved.ref, min=0.0, max=1.0)


def _softsign(call: Call) -> Value:
    value = call.input(0)
    tensor = call.graph.tensor(value)
    size = call.like("aten.abs.default", value, self=tensor)
    divisor = call.like("aten.add.Tensor", value, self=size.ref, other=1.0)
    return call.like("aten.div.Tensor", value, self=tensor, other=divisor.ref)


def _prelu(call: Call) -> Value:
    """The slope is one number, or one for each channel with axes of size 1 behind it."""
    value, slope = call.input(0), call.input(1)
    weight = call.graph.tensor(slope, "parameter")
    shape = slope.shape
    if shape is None or None in shape or call.rank(value) < 2:
        raise call.refuse("the shape of its slope is not known")
    known = tuple(size for size in shape if size is not None)
    channels = prod(known)
    trailing = (1,) * (call.rank(value) - 2)
    if channels != 1 and known not in {(channels, *trailing), (1, channels, *trailing)}:
        raise call.refuse("its slope varies along other axes than the channels")
    if len(known) != 1:
        weight = call.graph.emit("aten.reshape.default", slope.dtype, (channels,), self=weight, shape=(channels,)).ref
    return call.like("aten.prelu.default", value, self=call.graph.tensor(value), weight=weight)


def _softmax(operator: str, call: Call) -> Value:
    """Before opset 13 all axes from the given one on are one, and the default is 1."""
    value = call.input(0)
    tensor = call.graph.tensor(value)
    if call.opset >= 13:
        return call.like(operator, value, self=tensor, dim=call.attributes.integer("axis", -1))
    axis = call.attributes.integer("axis", 1)
    if axis == -1 or (value.shape is not None and call.axis(axis, len(value.shape)) == len(value.shape) - 1):
        return call.like(operator, value, self=tensor, dim=-1)
    flat = call.graph.emit(
        "aten.flatten.using_ints", value.dtype, None, self=tensor, start_dim=call.axis(axis, call.rank(value))
    )
    soft = call.like(operator, flat, self=flat.ref, dim=-1)
    return call.like("aten.view_as.default", value, self=soft.ref, other=tensor)


def _dropout(call: Call) -> Value | tuple[Value, ...]:
    """Trained with; what the file says of training is not kept."""
    value = call.input(0)
    call.attributes.ignore("seed")
    ratio = call.attributes.number("ratio", 0.5) if call.opset < 12 else (call.numbers(1) or (0.5,))[0]
    return call.like("aten.dropout.default", value, input=call.graph.tensor(value), p=ratio, train=False)


_PLAIN: Final[Mapping[str, str]] = {
    "Abs": "aten.abs.default",
    "Cos": "aten.cos.default",
    "Erf": "aten.erf.default",
    "Exp": "aten.exp.default",
    "HardSwish": "aten.hardswish.default",
    "Log": "aten.log.default",
    "Mish": "aten.mish.default",
    "Neg": "aten.neg.default",
    "Reciprocal": "aten.reciprocal.default",
    "Relu": "aten.relu.default",
    "Round": "aten.round.default",
    "Sigmoid": "aten.sigmoid.default",
    "Sign": "aten.sign.default",
    "Sin": "aten.sin.default",
    "Softplus": "aten.softplus.default",
    "Sqrt": "aten.sqrt.default",
    "Tanh": "aten.tanh.default",
}

_COMPARISONS: Final[Mapping[str, str]] = {
    "Equal": "aten.eq.Tensor",
    "Greater": "aten.gt.Tensor",
    "GreaterOrEqual": "aten.ge.Tensor",
    "Less": "aten.lt.Tensor",
    "LessOrEqual": "aten.le.Tensor",
    "And": "aten.logical_and.default",
    "Or": "aten.logical_or.default",
}


def _each(function: Callable[[str, Call], Value], names: Mapping[str, str]) -> dict[str, Converter]:
    return {name: partial(function, operator) for name, operator in names.items()}


ELEMENTWISE: Final[Mapping[str, Converter]] = {
    **_each(_plain, _PLAIN),
    **_each(_comparison, _COMPARISONS),
    **_each(_truth, {"Not": "aten.logical_not.default", "IsNaN": "aten.isnan.default"}),
    **_each(_commutative, {"Add": "aten.add.Tensor", "Mul": "aten.mul.Tensor"}),
    **_each(_binary, {"Sub": "aten.sub.Tensor"}),
    **_each(_of_many, {"Sum": "aten.add.Tensor", "Max": "aten.maximum.default", "Min": "aten.minimum.default"}),
    **_each(_softmax, {"Softmax": "aten.softmax.int", "LogSoftmax": "aten.log_softmax.int"}),
    **_each(_elu, {"Elu": "aten.elu.default", "Celu": "aten.celu.default"}),
    "Cast": _cast,
    "CastLike": _cast_like,
    "Clip": _clip,
    "Div": _div,
    "Dropout": _dropout,
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "Identity": _identity,
    "LeakyRelu": _leaky_relu,
    "Mean": _mean,
    "PRelu": _prelu,
    "Pow": _pow,
    "Selu": _selu,
    "Softsign": _softsign,
    "Where": _where,
}
