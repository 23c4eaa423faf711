"""The allow-list: every operator that a network may use, what it takes and which arguments are weights.

One readable table and nothing else decides what may run. A name that is not here is refused by name; an
argument that is not here is refused too. Names and arguments are those of `torch.ops.aten`, without what says
where a network runs rather than what it computes (`device`, `layout`, `pin_memory`, `cudnn_enabled`): that is
not the file's to say. `int.…` and `float.…` are the arithmetic on sizes that dynamic axes need, called after what they
give. `sterna/module/operators.py` has the function for each name.

Not here, and not to be: what touches files, processes or devices; what draws random numbers other than dropout, or
looks into memory that nobody has written (`empty`); what overwrites its arguments; whose result has a size that only
the data tells (`nonzero`, `unique`); views by stride. What makes memory out of numbers, or far more of it than it is
given, is marked, and bounded where it runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Operator:
    """What may be said of one operator.

    Attributes:
        arguments: the names that it may be given, in its order.
        weights: the arguments that hold weights of a layer. Where one is a list, as of recurrent layers, its members
            with two or more axes are the weights.
        kind: what sort of layer that makes; `function` where there is no weight.
        channel_axis: the output-channel axis of the weights; −1 is the last.
        left: the argument that holds a weight where that stands on the left of a product; its output-channel axis
            is the last but one.
        mode: the argument that is true while training.
        mode_needs: the mode follows train() and eval() only where this argument is given: batch normalisation
            without running statistics uses those of the batch in both.
        rate: the argument that is a share of dropout, which is 0 while evaluating.
        may_alias: its result may share memory with the first argument that is a tensor or a list of them.
        makes: it makes a tensor out of numbers alone, wherever the network is.
        grows: it may make far more memory than it is given.
        grows_by: the arguments of a layer that make it do so, where one of their numbers is above `USUAL_NUMBER`.
    """

    arguments: tuple[str, ...]
    weights: tuple[str, ...] = ()
    kind: str = "function"
    channel_axis: int = 0
    left: str | None = None
    mode: str | None = None
    mode_needs: str | None = None
    rate: str | None = None
    may_alias: bool = False
    makes: bool = False
    grows: bool = False
    grows_by: tuple[str, ...] = ()


USUAL_NUMBER: Final = 64
"""No network pads, strides or dilates by more; up to here a layer's result is in proportion to what it is given."""


def _layer(arguments: str, kind: str, *, weights: str = "weight", channel_axis: int = 0) -> Operator:
    return Operator(tuple(arguments.split()), weights=tuple(weights.split()), kind=kind, channel_axis=channel_axis)


def _product(arguments: str, left: str | None, right: str) -> Operator:
    return replace(_layer(arguments, "linear", weights=right, channel_axis=-1), left=left)


def _function(arguments: str) -> Operator:
    return Operator(tuple(arguments.split()))


def _mode(arguments: str, mode: str, *, needs: str | None = None, may_alias: bool = False) -> Operator:
    return Operator(tuple(arguments.split()), mode=mode, mode_needs=needs, may_alias=may_alias)


def _view(arguments: str) -> Operator:
    return Operator(tuple(arguments.split()), may_alias=True)


def _growing(arguments: str) -> Operator:
    return Operator(tuple(arguments.split()), grows=True)


def _maker(arguments: str) -> Operator:
    return Operator(tuple(arguments.split()), makes=True, grows=True)


def _each(operator: Operator, names: str) -> dict[str, Operator]:
    """The same entry for several operators."""
    return {f"aten.{name}": operator for name in names.split()}


_CONV = "input weight bias stride padding dilation groups"
_CONV_TRANSPOSED = "input weight bias stride padding output_padding groups dilation"
_RECURRENT = "input hx params has_biases num_layers dropout train bidirectional batch_first"
_CELL = "input hx w_ih w_hh b_ih b_hh"
_EMBEDDING_BAG = (
    "weight indices offsets scale_grad_by_freq mode sparse per_sample_weights include_last_offset padding_idx"
)
_TRANSPOSED = replace(
    _layer(_CONV_TRANSPOSED, "conv_transpose", channel_axis=1), grows_by=("stride", "dilation", "output_padding")
)

_LAYERS = {
    "aten.linear.default": _layer("input weight bias", "linear"),
    "aten.bilinear.default": _layer("input1 input2 weight bias", "bilinear"),
    "aten.addmm.default": _product("self mat1 mat2 beta alpha", "mat1", "mat2"),
    "aten.mm.default": _product("self mat2", "self", "mat2"),
    "aten.mv.default": replace(_function("self vec"), kind="linear", left="self"),
    "aten.matmul.default": _product("self other", "self", "other"),
    "aten.bmm.default": _product("self mat2", "self", "mat2"),
    "aten.baddbmm.default": _product("self batch1 batch2 beta alpha", "batch1", "batch2"),
    # Its output-channel axis is what the equation says (einsum.py); one operand permuted is a view of it.
    "aten.einsum.default": replace(_layer("equation tensors path", "einsum", weights="tensors"), may_alias=True),
    **_each(
        replace(_layer(_CONV, "conv"), grows_by=("padding",)),
        "conv1d.default conv1d.padding conv2d.default conv2d.padding conv3d.default conv3d.padding",
    ),
    **_each(_TRANSPOSED, "conv_transpose1d.default conv_transpose2d.input conv_transpose3d.input"),
    "aten.embedding.default": _layer(
        "weight indices padding_idx scale_grad_by_freq sparse", "embedding", channel_axis=1
    ),
    "aten.embedding_bag.padding_idx": _layer(_EMBEDDING_BAG, "embedding", channel_axis=1),
    "aten.lstm.input": replace(_layer(_RECURRENT, "lstm", weights="params"), mode="train"),
    "aten.gru.input": replace(_layer(_RECURRENT, "gru", weights="params"), mode="train"),
    **_each(replace(_layer(_RECURRENT, "rnn", weights="params"), mode="train"), "rnn_tanh.input rnn_relu.input"),
    "aten.lstm_cell.default": _layer(_CELL, "lstm", weights="w_ih w_hh"),
    "aten.gru_cell.default": _layer(_CELL, "gru", weights="w_ih w_hh"),
    **_each(_layer(_CELL, "rnn", weights="w_ih w_hh"), "rnn_tanh_cell.default rnn_relu_cell.default"),
}

_ATTENTION = {
    "aten.scaled_dot_product_attention.default": replace(
        _function("query key value attn_mask dropout_p is_causal scale enable_gqa"), rate="dropout_p"
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
    "aten._weight_norm.default": _function("v g dim"),
    # While evaluating, dropout gives back what it got.
    **_each(
        _mode("input p train", "train", may_alias=True),
        "dropout.default feature_dropout.default alpha_dropout.default feature_alpha_dropout.default",
    ),
}

_MAX_POOL = _function("self kernel_size stride padding dilation ceil_mode")
_NEAREST = _growing("input output_size scale_factors")
_INTERPOLATED = _growing("input output_size align_corners scale_factors")

_POOLING = {
    **_each(_MAX_POOL, "max_pool1d.default max_pool2d.default max_pool3d.default"),
    **_each(
        _MAX_POOL, "max_pool1d_with_indices.default max_pool2d_with_indices.default max_pool3d_with_indices.default"
    ),
    "aten.max_unpool2d.default": _growing("self indices output_size"),
    "aten.avg_pool1d.default": _function("self kernel_size stride padding ceil_mode count_include_pad"),
    **_each(
        _function("self kernel_size stride padding ceil_mode count_include_pad divisor_override"),
        "avg_pool2d.default avg_pool3d.default",
    ),
    **_each(
        _function("self output_size"),
        "adaptive_avg_pool1d.default adaptive_avg_pool2d.default adaptive_avg_pool3d.default "
        "adaptive_max_pool1d.default adaptive_max_pool2d.default adaptive_max_pool3d.default",
    ),
    **_each(
        _NEAREST,
        "upsample_nearest1d.vec upsample_nearest2d.vec upsample_nearest3d.vec "
        "_upsample_nearest_exact1d.vec _upsample_nearest_exact2d.vec _upsample_nearest_exact3d.vec",
    ),
    **_each(
        _INTERPOLATED,
        "upsample_linear1d.vec upsample_bilinear2d.vec upsample_trilinear3d.vec upsample_bicubic2d.vec "
        "_upsample_bilinear2d_aa.vec _upsample_bicubic2d_aa.vec",
    ),
    "aten.pixel_shuffle.default": _function("self upscale_factor"),
    "aten.pixel_unshuffle.default": _function("self downscale_factor"),
    "aten.channel_shuffle.default": _function("self groups"),
    "aten.im2col.default": _growing("self kernel_size dilation padding stride"),
    "aten.col2im.default": _growing("self output_size kernel_size dilation padding stride"),
    "aten.grid_sampler.default": _function("input grid interpolation_mode padding_mode align_corners"),
    "aten.affine_grid_generator.default": _growing("theta size align_corners"),
}

_ACTIVATIONS = {
    **_each(
        _function("self"),
        "relu.default relu6.default selu.default silu.default mish.default sigmoid.default log_sigmoid.default "
        "tanh.default hardswish.default hardsigmoid.default",
    ),
    "aten.hardtanh.default": _function("self min_val max_val"),
    "aten.leaky_relu.default": _function("self negative_slope"),
    "aten.prelu.default": _function("self weight"),
    "aten.elu.default": _function("self alpha scale input_scale"),
    "aten.celu.default": _function("self alpha"),
    "aten.gelu.default": _function("self approximate"),
    **_each(_function("self dim dtype"), "softmax.int log_softmax.int"),
    "aten.softplus.default": _function("self beta threshold"),
    "aten.glu.default": _function("self dim"),
    "aten.threshold.default": _function("self threshold value"),
    **_each(_function("self lambd"), "hardshrink.default softshrink.default"),
}

_SHAPES = {
    **_each(
        _view("self"),
        "t.default numpy_T.default mT.default squeeze.default detach.default alias.default",
    ),
    **_each(_view("self other"), "view_as.default reshape_as.default expand_as.default type_as.default"),
    **_each(_view("self dim"), "squeeze.dim squeeze.dims unsqueeze.default unbind.int"),
    **_each(_view("self dim0 dim1"), "transpose.int swapdims.default"),
    **_each(_view("self source destination"), "movedim.int movedim.intlist"),
    "aten.swapaxes.default": _view("self axis0 axis1"),
    "aten.permute.default": _view("self dims"),
    "aten.view.default": _view("self size"),
    "aten.reshape.default": _view("self shape"),
    "aten.flatten.using_ints": _view("self start_dim end_dim"),
    "aten.unflatten.int": _view("self dim sizes"),
    "aten.chunk.default": _view("self chunks dim"),
    **_each(_view("self split_size dim"), "split.Tensor split.sizes"),
    "aten.split_with_sizes.default": _view("self split_sizes dim"),
    "aten.tensor_split.sections": _view("self sections dim"),
    "aten.tensor_split.indices": _view("self indices dim"),
    "aten.slice.Tensor": _view("self dim start end step"),
    "aten.narrow.default": _view("self dim start length"),
    "aten.select.int": _view("self dim index"),
    "aten.diagonal.default": _view("self offset dim1 dim2"),
    "aten.unfold.default": replace(_view("self dimension size step"), grows=True),
    "aten.expand.default": replace(_view("self size implicit"), grows=True),
    "aten.broadcast_to.default": replace(_view("self size"), grows=True),
    "aten.meshgrid.default": replace(_view("tensors"), grows=True),
    "aten.meshgrid.indexing": replace(_view("tensors indexing"), grows=True),
    "aten.contiguous.default": _view("self memory_format"),
    "aten.clone.default": _function("self memory_format"),
    "aten.lift_fresh_copy.default": _function("self"),
    **_each(_view("self dtype non_blocking copy memory_format"), "to.dtype to.dtype_layout"),
    "aten.to.other": _view("self other non_blocking copy memory_format"),
    # Of what they are given twice they make twice as much, and sixty of them in a row more than there is.
    **_each(_growing("tensors dim"), "cat.default concat.default stack.default"),
    "aten.flip.default": _function("self dims"),
    "aten.roll.default": _function("self shifts dims"),
    **_each(_function("self diagonal"), "tril.default triu.default"),
    "aten.slice_scatter.default": _function("self src dim start end step"),
    "aten.select_scatter.default": _function("self src dim index"),
    "aten.repeat.default": _growing("self repeats"),
    "aten.tile.default": _growing("self dims"),
    "aten.repeat_interleave.self_int": _growing("self repeats dim output_size"),
    "aten.pad.default": _growing("self pad mode value"),
    "aten.constant_pad_nd.default": _growing("self pad value"),
    "aten.diag_embed.default": _growing("self offset dim1 dim2"),
}

_MAKERS = {
    **_each(_maker("size dtype"), "zeros.default ones.default"),
    "aten.full.default": _maker("size fill_value dtype"),
    "aten.scalar_tensor.default": _maker("s dtype"),
    "aten.eye.default": _maker("n dtype"),
    "aten.eye.m": _maker("n m dtype"),
    "aten.arange.default": _maker("end dtype"),
    "aten.arange.start": _maker("start end dtype"),
    "aten.arange.start_step": _maker("start end step dtype"),
    "aten.linspace.default": _maker("start end steps dtype"),
    **_each(_maker("row col offset dtype"), "tril_indices.default triu_indices.default"),
    **_each(_function("self dtype memory_format"), "zeros_like.default ones_like.default"),
    "aten.full_like.default": _function("self fill_value dtype memory_format"),
    **_each(_growing("self size dtype"), "new_zeros.default new_ones.default"),
    "aten.new_full.default": _growing("self size fill_value dtype"),
}

_LOOK_UPS = {
    "aten.index.Tensor": _function("self indices"),
    "aten.index_select.default": _function("self dim index"),
    "aten.gather.default": _function("self dim index sparse_grad"),
    "aten.take_along_dim.default": _function("self indices dim"),
    **_each(_function("self dim index src"), "scatter.src scatter_add.default"),
    **_each(_function("self dim index value"), "scatter.value index_fill.int_Scalar"),
    "aten.index_add.default": _function("self dim index source alpha"),
    "aten.index_copy.default": _function("self dim index source"),
    "aten.index_put.default": _function("self indices values accumulate"),
    **_each(_function("self mask value"), "masked_fill.Scalar masked_fill.Tensor"),
    **_each(_function("condition self other"), "where.self where.ScalarSelf where.ScalarOther where.Scalar"),
    "aten.topk.default": _function("self k dim largest sorted"),
    **_each(_function("self dim descending"), "sort.default argsort.default"),
    "aten.sort.stable": _function("self stable dim descending"),
    **_each(_function("self dim keepdim"), "argmax.default argmin.default"),
    "aten.bucketize.Tensor": _function("self boundaries out_int32 right"),
    "aten.one_hot.default": _growing("self num_classes"),
}

_ARITHMETIC = {
    **_each(
        _function("self"),
        "neg.default reciprocal.default abs.default sign.default square.default sqrt.default rsqrt.default "
        "floor.default ceil.default round.default trunc.default frac.default exp.default exp2.default expm1.default "
        "log.default log2.default log10.default log1p.default sin.default cos.default tan.default asin.default "
        "acos.default atan.default sinh.default cosh.default erf.default erfc.default",
    ),
    **_each(
        _function("self other alpha"),
        "add.Tensor add.Scalar sub.Tensor sub.Scalar subtract.Tensor rsub.Tensor rsub.Scalar",
    ),
    **_each(
        _function("self other"),
        "mul.Tensor mul.Scalar multiply.Tensor div.Tensor div.Scalar divide.Tensor true_divide.Tensor "
        "floor_divide.default floor_divide.Scalar remainder.Tensor remainder.Scalar fmod.Tensor fmod.Scalar "
        "maximum.default minimum.default max.other min.other atan2.default hypot.default logaddexp.default",
    ),
    **_each(_function("self other rounding_mode"), "div.Tensor_mode div.Scalar_mode"),
    **_each(_function("self exponent"), "pow.Tensor_Scalar pow.Tensor_Tensor pow.Scalar"),
    **_each(_function("self min max"), "clamp.default clamp.Tensor clip.default"),
    **_each(_function("self min"), "clamp_min.default clamp_min.Tensor"),
    **_each(_function("self max"), "clamp_max.default clamp_max.Tensor"),
    **_each(_function("self end weight"), "lerp.Scalar lerp.Tensor"),
    **_each(_function("self tensor1 tensor2 value"), "addcmul.default addcdiv.default"),
    **_each(_function("self dim dtype"), "cumsum.default cumprod.default"),
    "aten.logcumsumexp.default": _function("self dim"),
    "aten.round.decimals": _function("self decimals"),
    "aten.logit.default": _function("self eps"),
    "aten.nan_to_num.default": _function("self nan posinf neginf"),
    "aten.diff.default": _function("self n dim prepend append"),
    "aten.dot.default": _function("self tensor"),
    "aten.outer.default": _growing("self vec2"),
    "aten.cdist.default": _growing("x1 x2 p compute_mode"),
    "aten.cosine_similarity.default": _function("x1 x2 dim eps"),
    "aten.pairwise_distance.default": _function("x1 x2 p eps keepdim"),
}

_LOGIC = {
    **_each(
        _function("self other"),
        "gt.Scalar ge.Scalar lt.Scalar le.Scalar eq.Scalar ne.Scalar gt.Tensor ge.Tensor lt.Tensor le.Tensor "
        "eq.Tensor ne.Tensor logical_and.default logical_or.default logical_xor.default bitwise_and.Tensor "
        "bitwise_and.Scalar bitwise_or.Tensor bitwise_or.Scalar bitwise_xor.Tensor __and__.Tensor __and__.Scalar "
        "__or__.Tensor __or__.Scalar",
    ),
    **_each(
        _function("self"),
        "logical_not.default bitwise_not.default isnan.default isinf.default isfinite.default any.default all.default",
    ),
    **_each(_function("self dim keepdim"), "any.dim any.dims all.dim all.dims"),
}

_REDUCTIONS = {
    **_each(_function("self"), "max.default min.default median.default"),
    **_each(_function("self dtype"), "mean.default sum.default prod.default"),
    **_each(_function("self dim keepdim dtype"), "mean.dim sum.dim_IntList prod.dim_int"),
    **_each(
        _function("self dim keepdim"),
        "amax.default amin.default aminmax.default max.dim min.dim median.dim logsumexp.default",
    ),
    **_each(_function("self unbiased"), "var.default std.default"),
    **_each(_function("self dim unbiased keepdim"), "var.dim std.dim var_mean.dim std_mean.dim"),
    **_each(
        _function("self dim correction keepdim"),
        "var.correction std.correction var_mean.correction std_mean.correction",
    ),
    "aten.norm.Scalar": _function("self p"),
    "aten.norm.ScalarOpt_dim": _function("self p dim keepdim"),
    **_each(_function("self ord dim keepdim dtype"), "linalg_vector_norm.default linalg_norm.default"),
    **_each(_function("self dim"), "count_nonzero.default count_nonzero.dim_IntList"),
}

_SIZES = {
    "aten.sym_size.int": _function("self dim"),
    "aten.sym_numel.default": _function("self"),
    **{f"int.{name}": _function("a b") for name in ("add", "sub", "mul", "floordiv", "mod", "pow", "max", "min")},
    **{f"int.{name}": _function("a") for name in ("neg", "floor", "ceil", "trunc", "round")},
    **{f"float.{name}": _function("a b") for name in ("add", "sub", "mul", "truediv", "pow", "max", "min")},
    **{f"float.{name}": _function("a") for name in ("neg", "sqrt", "of")},
}

OPERATORS: Mapping[str, Operator] = {
    **_LAYERS,
    **_ATTENTION,
    **_NORMALISATION,
    **_POOLING,
    **_ACTIVATIONS,
    **_SHAPES,
    **_MAKERS,
    **_LOOK_UPS,
    **_ARITHMETIC,
    **_LOGIC,
    **_REDUCTIONS,
    **_SIZES,
}
