"""Normalisation as it is while evaluating; dropout is then nothing at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sterna.export.onnx_graph.arithmetic import combine
from sterna.export.onnx_graph.builder import Builder
from sterna.export.onnx_graph.reductions import axes_of
from sterna.export.onnx_graph.values import Rule, Value

Arguments = Mapping[str, Any]
SMALLEST_STEP = float(np.finfo(np.float32).eps)
"""What torch takes for `eps` of RMS normalisation where none is given."""


def _batch_norm(b: Builder, a: Arguments) -> Value:
    x: Value = a["input"]
    eps = a.get("eps", 1e-5)
    channels = x.shape[1]
    if a.get("running_mean") is None:
        axes = [axis for axis in range(x.rank) if axis != 1]
        normed = _standardised(b, x, axes, eps)
        return _scaled(b, normed, a, [1, -1, *[1] * (x.rank - 2)])
    assert channels is not None
    weight, bias = (_or_filled(b, a.get(n), channels, v, x.dtype) for n, v in (("weight", 1), ("bias", 0)))
    inputs = (x, weight, bias, a["running_mean"], a["running_var"])
    return b.op("BatchNormalization", *inputs, epsilon=eps, dtype=x.dtype, shape=x.shape)


def _instance_norm(b: Builder, a: Arguments) -> Value:
    if a.get("running_mean") is not None:
        return _batch_norm(b, a)
    x: Value = a["input"]
    normed = _standardised(b, x, list(range(2, x.rank)), a.get("eps", 1e-5))
    return _scaled(b, normed, a, [1, -1, *[1] * (x.rank - 2)])


def _group_norm(b: Builder, a: Arguments) -> Value:
    x: Value = a["input"]
    groups = a["num_groups"]
    grouped = b.op("Reshape", x, b.ints([0, groups, -1]), dtype=x.dtype, shape=(x.shape[0], groups, None))
    normed = _standardised(b, grouped, [2], a.get("eps", 1e-5))
    back = b.op("Reshape", normed, b.op("Shape", x), dtype=x.dtype, shape=x.shape)
    return _scaled(b, back, a, [1, -1, *[1] * (x.rank - 2)])


def _layer_norm(b: Builder, a: Arguments) -> Value:
    x: Value = a["input"]
    sizes = list(a["normalized_shape"])
    scale = a.get("weight")
    if scale is None:
        scale = b.const(np.ones(sizes, np.float32)) if x.dtype == "float32" else b.cast(_ones(b, sizes), x.dtype)
    eps = a.get("eps", 1e-5)
    inputs = (x, scale, a.get("bias"))
    return b.op("LayerNormalization", *inputs, axis=-len(sizes), epsilon=eps, dtype=x.dtype, shape=x.shape)


def _rms_norm(b: Builder, a: Arguments) -> Value:
    x: Value = a["input"]
    axes = list(range(-len(a["normalized_shape"]), 0))
    eps = SMALLEST_STEP if a.get("eps") is None else a["eps"]
    square = b.op("ReduceMean", b.op("Mul", x, x), b.ints(axes), keepdims=1)
    normed = b.op("Div", x, b.op("Sqrt", combine(b, "Add", square, eps)))
    return normed if a.get("weight") is None else b.op("Mul", normed, a["weight"])


def _standardised(b: Builder, x: Value, axes: list[int], eps: float) -> Value:
    over = axes_of(b, x, axes)
    centred = b.op("Sub", x, b.op("ReduceMean", x, over, keepdims=1))
    variance = b.op("ReduceMean", b.op("Mul", centred, centred), over, keepdims=1)
    return b.op("Div", centred, b.op("Sqrt", combine(b, "Add", variance, eps)))


def _scaled(b: Builder, x: Value, a: Arguments, sizes: list[int]) -> Value:
    for kind, name in (("Mul", "weight"), ("Add", "bias")):
        if a.get(name) is not None:
            x = b.op(kind, x, b.reshape(a[name], sizes))
    return x


def _or_filled(b: Builder, given: Value | None, channels: int, value: float, dtype: str) -> Value:
    return b.cast(b.const(np.full(channels, value, np.float32)), dtype) if given is None else given


def _ones(b: Builder, sizes: list[int]) -> Value:
    return b.const(np.ones(sizes, np.float32))


def same(b: Builder, a: Arguments) -> Value:
    """Write nothing: the value itself."""
    del b
    value: Value = a["self"] if "self" in a else a["input"]
    return value


NORMALISATION: Mapping[str, Rule] = {
    "aten.batch_norm.default": _batch_norm,
    "aten.instance_norm.default": _instance_norm,
    "aten.group_norm.default": _group_norm,
    "aten.layer_norm.default": _layer_norm,
    "aten.rms_norm.default": _rms_norm,
    "aten.dropout.default": same,
    "aten.feature_dropout.default": same,
    "aten.alpha_dropout.default": same,
    "aten.feature_alpha_dropout.default": same,
}
