"""ONNX operators that are activations: of each element, and softmax, which is of a whole axis."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from math import prod
from typing import Final

from sterna.graph import FLOATING, Argument
from sterna.intake.onnx.call import Call, Converter
from sterna.intake.onnx.elementwise import plain
from sterna.intake.onnx.values import Computed, Items, Stored, Value


def _clip(call: Call) -> Value:
    """Numbers and sizes bound as they are; where one bound is computed from data, both are tensors."""
    value = call.input(0)
    bounds = {"min": _bound(call, "min", 1), "max": _bound(call, "max", 2)}
    tensor = call.graph.tensor
    if any(isinstance(bound, Computed | Stored) for bound in bounds.values()):
        wide: dict[str, Argument] = {name: tensor(bound) for name, bound in bounds.items() if bound is not None}
        return call.like("aten.clamp.Tensor", value, self=tensor(value), **wide)
    given: dict[str, Argument] = {
        name: bound.elements[0] for name, bound in bounds.items() if isinstance(bound, Items) and _bounds(bound)
    }
    return call.like("aten.clamp.default", value, self=tensor(value), **given) if given else value


def _bound(call: Call, name: str, index: int) -> Value | None:
    if call.opset < 11:
        number = call.attributes.number(name, math.inf)
        return Items((number,), call.input(0).dtype, scalar=True)
    given = call.given(index)
    if given is None or (given.shape is not None and 0 in given.shape):
        return None
    items = call.graph.items(given)
    return given if items is None or len(items.elements) != 1 else items


def _bounds(bound: Items) -> bool:
    """Whether it bounds anything."""
    number = bound.elements[0]
    return not isinstance(number, float) or math.isfinite(number)


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


def _hardmax(call: Call) -> Value:
    """1 where an axis is greatest for the first time, else 0; axes are joined before opset 13 as of `_softmax`."""
    value = call.input(0)
    axis = call.attributes.integer("axis", 1 if call.opset < 13 else -1)
    if call.opset < 13 and call.axis(axis, call.rank(value)) != call.rank(value) - 1:
        raise call.refuse("before opset 13 it joins all axes from the given one on")
    tensor = call.graph.tensor(value)
    largest = call.graph.emit("aten.argmax.default", "int64", None, self=tensor, dim=axis, keepdim=True)
    zeros = call.like("aten.zeros_like.default", value, self=tensor)
    return call.like("aten.scatter.value", value, self=zeros.ref, dim=axis, index=largest.ref, value=1)


def _thresholded_relu(call: Call) -> Value:
    value, alpha = call.input(0), call.attributes.number("alpha", 1.0)
    return call.like("aten.threshold.default", value, self=call.graph.tensor(value), threshold=alpha, value=0.0)


def _shrink(call: Call) -> Value:
    """Nearer to 0 by `bias` where it is further from 0 than `lambd`, else 0."""
    value = call.input(0)
    bias, lambd = call.attributes.number("bias", 0.0), call.attributes.number("lambd", 0.5)
    if value.dtype not in FLOATING or lambd < 0:
        raise call.refuse("it shrinks whole numbers, or by less than nothing")
    kept = call.like("aten.hardshrink.default", value, self=call.graph.tensor(value), lambd=lambd)
    if bias == 0.0:
        return kept
    sign = call.like("aten.sign.default", value, self=kept.ref)
    return call.like("aten.sub.Tensor", value, self=kept.ref, other=sign.ref, alpha=bias)


def _swish(call: Call) -> Value:
    """The share sigmoid(alpha · x) of x."""
    value, alpha = call.input(0), call.attributes.number("alpha", 1.0)
    tensor = call.graph.tensor(value)
    if alpha == 1.0:
        return call.like("aten.silu.default", value, self=tensor)
    scaled = call.like("aten.mul.Tensor", value, self=tensor, other=alpha)
    gate = call.like("aten.sigmoid.default", value, self=scaled.ref)
    return call.like("aten.mul.Tensor", value, self=tensor, other=gate.ref)


ACTIVATIONS: Final[Mapping[str, Converter]] = {
    "Celu": partial(_elu, "aten.celu.default"),
    "Clip": _clip,
    "Dropout": _dropout,
    "Elu": partial(_elu, "aten.elu.default"),
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": partial(plain, "aten.hardswish.default"),
    "Hardmax": _hardmax,
    "LeakyRelu": _leaky_relu,
    "LogSoftmax": partial(_softmax, "aten.log_softmax.int"),
    "Mish": partial(plain, "aten.mish.default"),
    "PRelu": _prelu,
    "Relu": partial(plain, "aten.relu.default"),
    "Selu": _selu,
    "Shrink": _shrink,
    "Sigmoid": partial(plain, "aten.sigmoid.default"),
    "Softmax": partial(_softmax, "aten.softmax.int"),
    "Softplus": partial(plain, "aten.softplus.default"),
    "Softsign": _softsign,
    "Swish": _swish,
    "Tanh": partial(plain, "aten.tanh.default"),
    "ThresholdedRelu": _thresholded_relu,
}
