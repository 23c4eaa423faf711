"""Activation functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sterna.export.onnx_graph.arithmetic import clamp, combine, unary
from sterna.export.onnx_graph.builder import Builder
from sterna.export.onnx_graph.values import Rule, Value

Arguments = Mapping[str, Any]
EXACT_THRESHOLD = 20
"""From here on softplus(x) and x are the same float32."""


def _with(kind: str, **constants: Any) -> Rule:  # noqa: ANN401  attributes of the ONNX operator
    """Write an activation that keeps type and sizes."""

    def write(b: Builder, a: Arguments) -> Value:
        x: Value = a["self"]
        return b.op(kind, x, dtype=x.dtype, shape=x.shape, **constants)

    return write


def _given(kind: str, argument: str, attribute: str, default: Any) -> Rule:  # noqa: ANN401
    """Write an activation with one attribute, which is an argument of the network's operator."""

    def write(b: Builder, a: Arguments) -> Value:
        x: Value = a["self"]
        return b.op(kind, x, dtype=x.dtype, shape=x.shape, **{attribute: a.get(argument, default)})

    return write


def _relu6(b: Builder, a: Arguments) -> Value:
    return clamp(b, {"self": a["self"], "min": 0, "max": 6})


def _hardtanh(b: Builder, a: Arguments) -> Value:
    return clamp(b, {"self": a["self"], "min": a.get("min_val", -1), "max": a.get("max_val", 1)})


def _prelu(b: Builder, a: Arguments) -> Value:
    x, slope = a["self"], a["weight"]
    if x.rank > 2:
        slope = b.reshape(slope, [-1, *[1] * (x.rank - 2)])
    return b.op("PRelu", x, slope)


def _elu(b: Builder, a: Arguments) -> Value:
    x, scale, inner = a["self"], a.get("scale", 1), a.get("input_scale", 1)
    if inner != 1:
        # Above zero the input is not scaled.
        positive = combine(b, "Max", x, 0)
        below = combine(b, "Min", combine(b, "Mul", x, inner), 0)
        y = b.op("Add", positive, b.op("Elu", below, alpha=float(a.get("alpha", 1))))
    else:
        y = b.op("Elu", x, alpha=float(a.get("alpha", 1)))
    return y if scale == 1 else combine(b, "Mul", y, scale)


def _silu(b: Builder, a: Arguments) -> Value:
    return b.op("Mul", a["self"], b.op("Sigmoid", a["self"]))


def _log_sigmoid(b: Builder, a: Arguments) -> Value:
    return b.op("Neg", b.op("Softplus", b.op("Neg", a["self"])))


def _softplus(b: Builder, a: Arguments) -> Value:
    x, beta, threshold = a["self"], a.get("beta", 1), a.get("threshold", 20)
    inner = x if beta == 1 else combine(b, "Mul", x, beta)
    y = b.op("Softplus", inner)
    y = y if beta == 1 else combine(b, "Div", y, beta)
    if threshold >= EXACT_THRESHOLD:
        return y
    return b.op("Where", combine(b, "Greater", inner, threshold), x, y)


def _softmax(kind: str) -> Rule:
    def write(b: Builder, a: Arguments) -> Value:
        x: Value = a["self"]
        if a.get("dtype") is not None:
            x = b.cast(x, a["dtype"])
        return b.op(kind, x, axis=x.axis(a["dim"]))

    return write


def _glu(b: Builder, a: Arguments) -> Value:
    x: Value = a["self"]
    axis = x.axis(a.get("dim", -1))
    half = b.known_size(x, axis) // 2
    shape = tuple(half if index == axis else size for index, size in enumerate(x.shape))
    value, gate = b.ops("Split", x, outputs=2, axis=axis, num_outputs=2, dtype=x.dtype, shape=shape)
    return b.op("Mul", value, b.op("Sigmoid", gate))


ACTIVATIONS: Mapping[str, Rule] = {
    "aten.relu.default": _with("Relu"),
    "aten.relu6.default": _relu6,
    "aten.hardtanh.default": _hardtanh,
    "aten.leaky_relu.default": _given("LeakyRelu", "negative_slope", "alpha", 0.01),
    "aten.prelu.default": _prelu,
    "aten.elu.default": _elu,
    "aten.selu.default": _with("Selu"),
    "aten.celu.default": _given("Celu", "alpha", "alpha", 1.0),
    "aten.gelu.default": _given("Gelu", "approximate", "approximate", "none"),
    "aten.silu.default": _silu,
    "aten.mish.default": _with("Mish"),
    "aten.sigmoid.default": unary("Sigmoid"),
    "aten.log_sigmoid.default": _log_sigmoid,
    "aten.tanh.default": unary("Tanh"),
    "aten.softmax.int": _softmax("Softmax"),
    "aten.log_softmax.int": _softmax("LogSoftmax"),
    "aten.hardswish.default": _with("HardSwish"),
    "aten.hardsigmoid.default": _with("HardSigmoid", alpha=1 / 6, beta=0.5),
    "aten.softplus.default": _softplus,
    "aten.glu.default": _glu,
}
