"""The allow-list: every operator that a network may use, what it takes and which argument is a weight.

One readable table and nothing else decides what may run. A name that is not here is refused by name; an
argument that is not here is refused too. Names and arguments are those of `torch.ops.aten`, without what says
where a network runs rather than what it computes (`device`, `layout`, `pin_memory`, `cudnn_enabled`): that is
not the file's to say. `int.…` is the arithmetic on sizes that a dynamic batch needs.
`sterna/module/operators.py` has the function for each name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Operator:
    """What may be said of one operator.

    Attributes:
        arguments: the names that it may be given, in its order.
        weight: the argument that holds a layer's weight, where there is one.
        kind: what sort of layer that makes; `function` where there is no weight.
        channel_axis: the output-channel axis of the weight; −1 is the last.
        left: the argument that holds a weight where that stands on the left of a product; its output-channel axis
            is the last but one.
        mode: the argument that is true while training.
        mode_needs: the mode follows train() and eval() only where this argument is given: batch normalisation
            without running statistics uses those of the batch in both.
        may_alias: its result may share memory with its first argument.
    """

    arguments: tuple[str, ...]
    weight: str | None = None
    kind: str = "function"
    channel_axis: int = 0
    left: str | None = None
    mode: str | None = None
    mode_needs: str | None = None
    may_alias: bool = False


def _layer(arguments: str, kind: str, *, channel_axis: int = 0) -> Operator:
    return Operator(tuple(arguments.split()), weight="weight", kind=kind, channel_axis=channel_axis)


def _product(arguments: str, left: str, right: str) -> Operator:
    return Operator(tuple(arguments.split()), weight=right, kind="linear", channel_axis=-1, left=left)


def _function(arguments: str) -> Operator:
    return Operator(tuple(arguments.split()))


def _mode(arguments: str, mode: str, *, needs: str | None = None, may_alias: bool = False) -> Operator:
    return Operator(tuple(arguments.split()), mode=mode, mode_needs=needs, may_alias=may_alias)


def _view(arguments: str) -> Operator:
    return Operator(tuple(arguments.split()), may_alias=True)


_CONV = "input weight bias stride padding dilation groups"
_CONV_TRANSPOSED = "input weight bias stride padding output_padding groups dilation"
_AVG_POOL = "self kernel_size stride padding ceil_mode count_include_pad divisor_override"
_MAX_POOL = "self kernel_size stride padding dilation ceil_mode"

_LAYERS = {
    "aten.linear.default": _layer("input weight bias", "linear"),
    "aten.addmm.default": _product("self mat1 mat2 beta alpha", "mat1", "mat2"),
    "aten.mm.default": _product("self mat2", "self", "mat2"),
    "aten.matmul.default": _product("self other", "self", "other"),
    "aten.bmm.default": _product("self mat2", "self", "mat2"),
    "aten.conv1d.default": _layer(_CONV, "conv"),
    "aten.conv1d.padding": _layer(_CONV, "conv"),
    "aten.conv2d.default": _layer(_CONV, "conv"),
    "aten.conv2d.padding": _layer(_CONV, "conv"),
    "aten.conv3d.default": _layer(_CONV, "conv"),
    "aten.conv3d.padding": _layer(_CONV, "conv"),
    "aten.conv_transpose1d.default": _layer(_CONV_TRANSPOSED, "conv_transpose", channel_axis=1),
    "aten.conv_transpose2d.input": _layer(_CONV_TRANSPOSED, "conv_transpose", channel_axis=1),
    "aten.conv_transpose3d.input": _layer(_CONV_TRANSPOSED, "conv_transpose", channel_axis=1),
    "aten.embedding.default": _layer(
        "weight indices padding_idx scale_grad_by_freq sparse", "embedding", channel_axis=1
    ),
}

_NORMALISATION = {
    "aten.batch_norm.default": _mode(
        "input weight bias running_mean running_var training momentum eps", "training", needs="running_mean"
    ),
    "aten.instance_norm.default": _mode(
        "input weight bias running_mean running_var use_input_stats momentum eps",
        "use_input_stats",
        needs="running_mean",
    ),
    "aten.layer_norm.default": _function("input normalized_shape weight bias eps"),
    "aten.group_norm.default": _function("input num_groups weight bias eps"),
    "aten.rms_norm.default": _function("input normalized_shape weight eps"),
    # While evaluating, dropout gives back what it got.
    "aten.dropout.default": _mode("input p train", "train", may_alias=True),
    "aten.feature_dropout.default": _mode("input p train", "train", may_alias=True),
    "aten.alpha_dropout.default": _mode("input p train", "train", may_alias=True),
    "aten.feature_alpha_dropout.default": _mode("input p train", "train", may_alias=True),
}

_POOLING = {
    "aten.max_pool1d.default": _function(_MAX_POOL),
    "aten.max_pool2d.default": _function(_MAX_POOL),
    "aten.max_pool3d.default": _function(_MAX_POOL),
    "aten.avg_pool1d.default": _function("self kernel_size stride padding ceil_mode count_include_pad"),
    "aten.avg_pool2d.default": _function(_AVG_POOL),
    "aten.avg_pool3d.default": _function(_AVG_POOL),
    "aten.adaptive_avg_pool1d.default": _function("self output_size"),
    "aten.adaptive_avg_pool2d.default": _function("self output_size"),
    "aten.adaptive_avg_pool3d.default": _function("self output_size"),
    "aten.adaptive_max_pool1d.default": _function("self output_size"),
    "aten.adaptive_max_pool2d.default": _function("self output_size"),
    "aten.adaptive_max_pool3d.default": _function("self output_size"),
    "aten.upsample_nearest1d.vec": _function("input output_size scale_factors"),
    "aten.upsample_nearest2d.vec": _function("input output_size scale_factors"),
    "aten.upsample_bilinear2d.vec": _function("input output_size align_corners scale_factors"),
    "aten.pixel_shuffle.default": _function("self upscale_factor"),
}

_ACTIVATIONS = {
    "aten.relu.default": _function("self"),
    "aten.relu6.default": _function("self"),
    "aten.hardtanh.default": _function("self min_val max_val"),
    "aten.leaky_relu.default": _function("self negative_slope"),
    "aten.prelu.default": _function("self weight"),
    "aten.elu.default": _function("self alpha scale input_scale"),
    "aten.selu.default": _function("self"),
    "aten.celu.default": _function("self alpha"),
    "aten.gelu.default": _function("self approximate"),
    "aten.silu.default": _function("self"),
    "aten.mish.default": _function("self"),
    "aten.sigmoid.default": _function("self"),
    "aten.log_sigmoid.default": _function("self"),
    "aten.tanh.default": _function("self"),
    "aten.softmax.int": _function("self dim dtype"),
    "aten.log_softmax.int": _function("self dim dtype"),
    "aten.hardswish.default": _function("self"),
    "aten.hardsigmoid.default": _function("self"),
    "aten.softplus.default": _function("self beta threshold"),
    "aten.glu.default": _function("self dim"),
}

_SHAPES = {
    "aten.view.default": _view("self size"),
    "aten.reshape.default": _view("self shape"),
    "aten.flatten.using_ints": _view("self start_dim end_dim"),
    "aten.unflatten.int": _view("self dim sizes"),
    "aten.permute.default": _view("self dims"),
    "aten.transpose.int": _view("self dim0 dim1"),
    "aten.t.default": _view("self"),
    "aten.numpy_T.default": _view("self"),
    "aten.mT.default": _view("self"),
    "aten.squeeze.default": _view("self"),
    "aten.squeeze.dim": _view("self dim"),
    "aten.squeeze.dims": _view("self dim"),
    "aten.unsqueeze.default": _view("self dim"),
    "aten.chunk.default": _view("self chunks dim"),
    "aten.split.Tensor": _view("self split_size dim"),
    "aten.split_with_sizes.default": _view("self split_sizes dim"),
    "aten.unbind.int": _view("self dim"),
    "aten.slice.Tensor": _view("self dim start end step"),
    "aten.select.int": _view("self dim index"),
    "aten.expand.default": _view("self size implicit"),
    "aten.expand_as.default": _view("self other"),
    "aten.view_as.default": _view("self other"),
    "aten.contiguous.default": _view("self memory_format"),
    "aten.detach.default": _view("self"),
    "aten.alias.default": _view("self"),
    "aten.to.dtype": _view("self dtype non_blocking copy memory_format"),
    "aten.clone.default": _function("self memory_format"),
    "aten.lift_fresh_copy.default": _function("self"),
    "aten.cat.default": _function("tensors dim"),
    "aten.stack.default": _function("tensors dim"),
    "aten.repeat.default": _function("self repeats"),
    "aten.flip.default": _function("self dims"),
    "aten.pad.default": _function("self pad mode value"),
    "aten.constant_pad_nd.default": _function("self pad value"),
}

_ARITHMETIC = {
    "aten.add.Tensor": _function("self other alpha"),
    "aten.sub.Tensor": _function("self other alpha"),
    "aten.mul.Tensor": _function("self other"),
    "aten.div.Tensor": _function("self other"),
    "aten.add.Scalar": _function("self other alpha"),
    "aten.sub.Scalar": _function("self other alpha"),
    "aten.mul.Scalar": _function("self other"),
    "aten.div.Scalar": _function("self other"),
    "aten.rsub.Scalar": _function("self other alpha"),
    "aten.neg.default": _function("self"),
    "aten.reciprocal.default": _function("self"),
    "aten.abs.default": _function("self"),
    "aten.pow.Tensor_Scalar": _function("self exponent"),
    "aten.pow.Tensor_Tensor": _function("self exponent"),
    "aten.square.default": _function("self"),
    "aten.sqrt.default": _function("self"),
    "aten.rsqrt.default": _function("self"),
    "aten.exp.default": _function("self"),
    "aten.log.default": _function("self"),
    "aten.log1p.default": _function("self"),
    "aten.sin.default": _function("self"),
    "aten.cos.default": _function("self"),
    "aten.clamp.default": _function("self min max"),
    "aten.clamp_min.default": _function("self min"),
    "aten.clamp_max.default": _function("self max"),
    "aten.maximum.default": _function("self other"),
    "aten.minimum.default": _function("self other"),
    "aten.where.self": _function("condition self other"),
    "aten.masked_fill.Scalar": _function("self mask value"),
    "aten.gt.Scalar": _function("self other"),
    "aten.ge.Scalar": _function("self other"),
    "aten.lt.Scalar": _function("self other"),
    "aten.le.Scalar": _function("self other"),
    "aten.eq.Scalar": _function("self other"),
    "aten.ne.Scalar": _function("self other"),
}

_REDUCTIONS = {
    "aten.mean.default": _function("self dtype"),
    "aten.mean.dim": _function("self dim keepdim dtype"),
    "aten.sum.default": _function("self dtype"),
    "aten.sum.dim_IntList": _function("self dim keepdim dtype"),
    "aten.amax.default": _function("self dim keepdim"),
    "aten.amin.default": _function("self dim keepdim"),
    "aten.max.default": _function("self"),
    "aten.max.dim": _function("self dim keepdim"),
    "aten.min.dim": _function("self dim keepdim"),
    "aten.var.correction": _function("self dim correction keepdim"),
    "aten.std.correction": _function("self dim correction keepdim"),
    "aten.linalg_vector_norm.default": _function("self ord dim keepdim dtype"),
}

_SIZES = {
    "aten.sym_size.int": _function("self dim"),
    "int.add": _function("a b"),
    "int.sub": _function("a b"),
    "int.mul": _function("a b"),
    "int.floordiv": _function("a b"),
    "int.mod": _function("a b"),
    "int.neg": _function("a"),
}

OPERATORS: Mapping[str, Operator] = {
    **_LAYERS,
    **_NORMALISATION,
    **_POOLING,
    **_ACTIVATIONS,
    **_SHAPES,
    **_ARITHMETIC,
    **_REDUCTIONS,
    **_SIZES,
}
