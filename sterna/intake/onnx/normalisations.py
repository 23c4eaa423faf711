"""ONNX operators that normalise: by statistics of the batch, of a sample, of groups, of neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sterna.errors import ModelCorrupt
from sterna.graph import Argument
from sterna.intake.onnx.arrangement import padded
from sterna.intake.onnx.call import Call, Converter
from sterna.intake.onnx.layers import optional
from sterna.intake.onnx.values import Value
from sterna.intake.onnx.wire import HINT


def _batch_norm(call: Call) -> Value:
    """Statistics and scales of its own: exporters store equal ones once, and training must not mix them."""
    if call.attributes.integer("spatial", 1) != 1:
        raise call.refuse("it is not over channels")
    call.attributes.ignore("training_mode", "consumed_inputs", "is_test")
    momentum = 1.0 - call.attributes.number("momentum", 0.9)
    epsilon = call.attributes.number("epsilon", 1e-5)
    value = call.input(0)
    own = [call.graph.tensor(call.input(index), "parameter", own=True) for index in (1, 2)]
    statistics = [call.graph.tensor(call.input(index), "buffer", own=True) for index in (3, 4)]
    return call.like(
        "aten.batch_norm.default",
        value,
        input=call.graph.tensor(value),
        weight=own[0],
        bias=own[1],
        running_mean=statistics[0],
        running_var=statistics[1],
        training=False,
        momentum=momentum,
        eps=epsilon,
    )


def _instance_norm(call: Call) -> Value:
    value, epsilon = call.input(0), call.attributes.number("epsilon", 1e-5)
    return call.like(
        "aten.instance_norm.default",
        value,
        input=call.graph.tensor(value),
        weight=optional(call, 1),
        bias=optional(call, 2),
        running_mean=None,
        running_var=None,
        use_input_stats=True,
        momentum=0.0,
        eps=epsilon,
    )


def _layer_norm(call: Call) -> Value:
    value, scale = call.input(0), call.input(1)
    axis, epsilon = call.attributes.integer("axis", -1), call.attributes.number("epsilon", 1e-5)
    call.attributes.ignore("stash_type")
    if scale.shape is None or None in scale.shape:
        raise call.refuse("the shape of its scale is not known")
    axes = len(scale.shape)
    if axis != -axes and (value.shape is None or axis != len(value.shape) - axes):
        raise call.refuse("its scale does not have the axes that it normalises over")
    return call.like(
        "aten.layer_norm.default",
        value,
        input=call.graph.tensor(value),
        normalized_shape=scale.shape,
        weight=call.graph.tensor(scale, "parameter"),
        bias=optional(call, 2),
        eps=epsilon,
    )


def _rms_norm(call: Call) -> Value:
    value, scale = call.input(0), call.input(1)
    axis, epsilon = call.attributes.integer("axis", -1), call.attributes.number("epsilon", 1e-5)
    call.attributes.ignore("stash_type")
    if scale.shape is None or None in scale.shape or axis != -len(scale.shape):
        raise call.refuse("its scale does not have the axes that it normalises over")
    weight = call.graph.tensor(scale, "parameter")
    tensor = call.graph.tensor(value)
    return call.like(
        "aten.rms_norm.default", value, input=tensor, normalized_shape=scale.shape, weight=weight, eps=epsilon
    )


def _group_norm(call: Call) -> Value:
    if call.opset < 21:
        raise call.refuse("before opset 21 its scale is one for each group")
    call.attributes.ignore("stash_type")
    value = call.input(0)
    groups, epsilon = call.attributes.integer("num_groups", 0), call.attributes.number("epsilon", 1e-5)
    if groups < 1:
        raise ModelCorrupt("GroupNormalization has no groups", hint=HINT)
    return call.like(
        "aten.group_norm.default",
        value,
        input=call.graph.tensor(value),
        num_groups=groups,
        weight=optional(call, 1),
        bias=optional(call, 2),
        eps=epsilon,
    )


def _lp_normalization(call: Call) -> Value:
    value = call.input(0)
    axis, order = call.attributes.integer("axis", -1), call.attributes.integer("p", 2)
    tensor = call.graph.tensor(value)
    if order not in {1, 2}:
        raise ModelCorrupt(f"LpNormalization has the order {order}", hint=HINT)
    norm = call.graph.emit(
        "aten.linalg_vector_norm.default", value.dtype, None, self=tensor, ord=order, dim=(axis,), keepdim=True
    )
    return call.like("aten.div.Tensor", value, self=tensor, other=norm.ref)


def _mean_variance(call: Call) -> Value:
    """(x − mean) / (deviation + 1e-9), over the axes that are given."""
    value, axes = call.input(0), call.attributes.integers("axes") or (0, 2, 3)
    means: dict[str, Argument] = {"dim": axes, "keepdim": True}
    mean = call.graph.emit("aten.mean.dim", value.dtype, None, self=call.graph.tensor(value), **means)
    centred = call.like("aten.sub.Tensor", value, self=call.graph.tensor(value), other=mean.ref)
    squared = call.like("aten.square.default", value, self=centred.ref)
    variance = call.graph.emit("aten.mean.dim", value.dtype, None, self=squared.ref, **means)
    deviation = call.like("aten.sqrt.default", variance, self=variance.ref)
    divisor = call.like("aten.add.Tensor", variance, self=deviation.ref, other=1e-9)
    return call.like("aten.div.Tensor", value, self=centred.ref, other=divisor.ref)


def _local_response(call: Call) -> Value:
    """Divide by (bias + alpha · mean of x² over `size` channels around) ^ beta."""
    value, size = call.input(0), call.attributes.integer("size", 0)
    alpha, beta = call.attributes.number("alpha", 1e-4), call.attributes.number("beta", 0.75)
    bias = call.attributes.number("bias", 1.0)
    if size < 1 or size % 2 == 0 or call.rank(value) != 4:
        raise call.refuse("it normalises over an even number of channels, or is given no image")
    tensor = call.graph.tensor(value)
    squared = call.like("aten.square.default", value, self=tensor)
    pairs = [(0, 0), (size // 2, size // 2), (0, 0), (0, 0)]
    around = call.graph.tensor(padded(call, squared, pairs))
    wide = call.graph.emit("aten.unsqueeze.default", value.dtype, None, self=around, dim=1)
    window: dict[str, Argument] = {"kernel_size": (size, 1, 1), "stride": (1, 1, 1)}
    mean = call.graph.emit("aten.avg_pool3d.default", value.dtype, None, self=wide.ref, **window)
    mean = call.graph.emit("aten.squeeze.dim", value.dtype, None, self=mean.ref, dim=1)
    scaled = call.like("aten.mul.Tensor", value, self=mean.ref, other=alpha)
    moved = call.like("aten.add.Tensor", value, self=scaled.ref, other=bias)
    divisor = call.like("aten.pow.Tensor_Scalar", value, self=moved.ref, exponent=beta)
    return call.like("aten.div.Tensor", value, self=tensor, other=divisor.ref)


NORMALISATIONS: Final[Mapping[str, Converter]] = {
    "BatchNormalization": _batch_norm,
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm,
    "LRN": _local_response,
    "LayerNormalization": _layer_norm,
    "LpNormalization": _lp_normalization,
    "MeanVarianceNormalization": _mean_variance,
    "RMSNormalization": _rms_norm,
}
