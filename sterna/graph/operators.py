"""The allow-list: every operator that a network may use, what it takes and which arguments are weights.

One readable table and nothing else decides what may run. A name that is not here is refused by name; an
argument that is not here is refused too. Names and arguments are those of `torch.ops.aten`, without what says
where a network runs rather than what it computes (`device`, `layout`, `pin_memory`, `cudnn_enabled`): that is
not the file's to say. `int.…` and `float.…` are the arithmetic on sizes that dynamic axes need, called after what they
give, and `transformers.…` is an operator of that library. `sterna/module/operators.py` has the function for each name.

Not here, and not to be: what touches files, processes or devices; what draws random numbers other than dropout and the
slopes of `rrelu`; what looks into memory that nobody has written (`empty`); what overwrites its arguments; whose result
has a size that only the data tells (`nonzero`, `unique`); views by stride. What makes memory out of numbers, or far
more of it than it is given, is marked, and bounded where it runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sterna.graph.entries import Operator, each, function, growing, layer, maker, product, switched, view

_CONV = "input weight bias stride padding dilation groups"
_CONV_TRANSPOSED = "input weight bias stride padding output_padding groups dilation"
_RECURRENT = "input hx params has_biases num_layers dropout train bidirectional batch_first"
_CELL = "input hx w_ih w_hh b_ih b_hh"
_EMBEDDING_BAG = (
    "weight indices offsets scale_grad_by_freq mode sparse per_sample_weights include_last_offset padding_idx"
)
_TRANSPOSED = replace(
    layer(_CONV_TRANSPOSED, "conv_transpose", channel_axis=1), grows_by=("stride", "dilation", "output_padding")
)

_LAYERS = {
    "aten.linear.default": layer("input weight bias", "linear"),
    "aten.bilinear.default": layer("input1 input2 weight bias", "bilinear"),
    "aten.addmm.default": product("self mat1 mat2 beta alpha", "mat1", "mat2"),
    "aten.mm.default": product("self mat2", "self", "mat2"),
    "aten.mv.default": replace(function("self vec"), kind="linear", left="self"),
    "aten.matmul.default": product("self other", "self", "other"),
    "aten.bmm.default": product("self mat2", "self", "mat2"),
    "aten.baddbmm.default": product("self batch1 batch2 beta alpha", "batch1", "batch2"),
    # Experts of transformers: rows, sorted by the matrix of the stack that each of them meets.
    "transformers.grouped_mm_fallback.default": layer("input weight offs", "linear", channel_axis=-1),
    # Its output-channel axis is what the equation says (einsum.py); one operand permuted is a view of it.
    "aten.einsum.default": replace(layer("equation tensors path", "einsum", weights="tensors"), may_alias=True),
    "aten.inner.default": replace(layer("self other", "linear", weights="other"), left="self", grows=True),
    **each(
        replace(layer(_CONV, "conv"), grows_by=("padding",)),
        "conv1d.default conv1d.padding conv2d.default conv2d.padding conv3d.default conv3d.padding",
    ),
    **each(_TRANSPOSED, "conv_transpose1d.default conv_transpose2d.input conv_transpose3d.input"),
    "aten.embedding.default": layer(
        "weight indices padding_idx scale_grad_by_freq sparse", "embedding", channel_axis=1
    ),
    "aten.embedding_bag.padding_idx": layer(_EMBEDDING_BAG, "embedding", channel_axis=1),
    "aten.lstm.input": replace(layer(_RECURRENT, "lstm", weights="params"), mode="train"),
    "aten.gru.input": replace(layer(_RECURRENT, "gru", weights="params"), mode="train"),
    **each(replace(layer(_RECURRENT, "rnn", weights="params"), mode="train"), "rnn_tanh.input rnn_relu.input"),
    "aten.lstm_cell.default": layer(_CELL, "lstm", weights="w_ih w_hh"),
    "aten.gru_cell.default": layer(_CELL, "gru", weights="w_ih w_hh"),
    **each(layer(_CELL, "rnn", weights="w_ih w_hh"), "rnn_tanh_cell.default rnn_relu_cell.default"),
}

_ATTENTION = {
    "aten.scaled_dot_product_attention.default": replace(
        function("query key value attn_mask dropout_p is_causal scale enable_gqa"), rate="dropout_p"
    ),
}

_NORMALISATION = {
    "aten.batch_norm.default": switched(
        "input weight bias running_mean running_var training momentum eps", "training", needs="running_mean"
    ),
    "aten.instance_norm.default": switched(
        "input weight bias running_mean running_var use_input_stats momentum eps",
        "use_input_stats",
        needs="running_mean",
    ),
    "aten.layer_norm.default": function("input normalized_shape weight bias eps"),
    "aten.group_norm.default": function("input num_groups weight bias eps"),
    "aten.rms_norm.default": function("input normalized_shape weight eps"),
    "aten._weight_norm.default": function("v g dim"),
    # While evaluating, dropout gives back what it got.
    **each(
        switched("input p train", "train", may_alias=True),
        "dropout.default feature_dropout.default alpha_dropout.default feature_alpha_dropout.default",
    ),
}

_MAX_POOL = function("self kernel_size stride padding dilation ceil_mode")
_NEAREST = growing("input output_size scale_factors")
_INTERPOLATED = growing("input output_size align_corners scale_factors")

_POOLING = {
    **each(_MAX_POOL, "max_pool1d.default max_pool2d.default max_pool3d.default"),
    **each(
        _MAX_POOL, "max_pool1d_with_indices.default max_pool2d_with_indices.default max_pool3d_with_indices.default"
    ),
    "aten.max_unpool2d.default": growing("self indices output_size"),
    "aten.avg_pool1d.default": function("self kernel_size stride padding ceil_mode count_include_pad"),
    **each(
        function("self kernel_size stride padding ceil_mode count_include_pad divisor_override"),
        "avg_pool2d.default avg_pool3d.default",
    ),
    **each(
        function("self output_size"),
        "adaptive_avg_pool1d.default adaptive_avg_pool2d.default adaptive_avg_pool3d.default "
        "adaptive_max_pool1d.default adaptive_max_pool2d.default adaptive_max_pool3d.default",
    ),
    **each(
        _NEAREST,
        "upsample_nearest1d.vec upsample_nearest2d.vec upsample_nearest3d.vec "
        "_upsample_nearest_exact1d.vec _upsample_nearest_exact2d.vec _upsample_nearest_exact3d.vec",
    ),
    **each(
        _INTERPOLATED,
        "upsample_linear1d.vec upsample_bilinear2d.vec upsample_trilinear3d.vec upsample_bicubic2d.vec "
        "_upsample_bilinear2d_aa.vec _upsample_bicubic2d_aa.vec",
    ),
    "aten.pixel_shuffle.default": function("self upscale_factor"),
    "aten.pixel_unshuffle.default": function("self downscale_factor"),
    "aten.channel_shuffle.default": function("self groups"),
    "aten.im2col.default": growing("self kernel_size dilation padding stride"),
    "aten.col2im.default": growing("self output_size kernel_size dilation padding stride"),
    "aten.grid_sampler.default": function("input grid interpolation_mode padding_mode align_corners"),
    "aten.affine_grid_generator.default": growing("theta size align_corners"),
}

_ACTIVATIONS = {
    **each(
        function("self"),
        "relu.default relu6.default selu.default silu.default mish.default sigmoid.default log_sigmoid.default "
        "tanh.default hardswish.default hardsigmoid.default",
    ),
    "aten.hardtanh.default": function("self min_val max_val"),
    "aten.leaky_relu.default": function("self negative_slope"),
    "aten.prelu.default": function("self weight"),
    "aten.elu.default": function("self alpha scale input_scale"),
    "aten.celu.default": function("self alpha"),
    "aten.gelu.default": function("self approximate"),
    **each(function("self dim dtype"), "softmax.int log_softmax.int"),
    "aten.softplus.default": function("self beta threshold"),
    "aten.glu.default": function("self dim"),
    "aten.threshold.default": function("self threshold value"),
    # Random while training, the mean of both slopes while evaluating.
    "aten.rrelu.default": switched("self lower upper training generator", "training"),
    **each(function("self lambd"), "hardshrink.default softshrink.default"),
}

_SHAPES = {
    **each(
        view("self"),
        "t.default numpy_T.default mT.default squeeze.default detach.default alias.default positive.default "
        "ravel.default atleast_1d.default atleast_2d.default atleast_3d.default",
    ),
    **each(view("self other"), "view_as.default reshape_as.default expand_as.default type_as.default"),
    **each(view("self dim"), "squeeze.dim squeeze.dims unsqueeze.default unbind.int"),
    **each(view("self dim0 dim1"), "transpose.int swapdims.default"),
    **each(view("self source destination"), "movedim.int movedim.intlist moveaxis.int moveaxis.intlist"),
    "aten.swapaxes.default": view("self axis0 axis1"),
    "aten.permute.default": view("self dims"),
    "aten.view.default": view("self size"),
    "aten.reshape.default": view("self shape"),
    "aten.flatten.using_ints": view("self start_dim end_dim"),
    "aten.unflatten.int": view("self dim sizes"),
    "aten.chunk.default": view("self chunks dim"),
    **each(view("self split_size dim"), "split.Tensor split.sizes"),
    "aten.split_with_sizes.default": view("self split_sizes dim"),
    "aten.tensor_split.sections": view("self sections dim"),
    "aten.tensor_split.indices": view("self indices dim"),
    **each(view("self sections"), "hsplit.int vsplit.int"),
    **each(view("self indices"), "hsplit.array vsplit.array"),
    "aten.slice.Tensor": view("self dim start end step"),
    "aten.narrow.default": view("self dim start length"),
    "aten.select.int": view("self dim index"),
    "aten.diagonal.default": view("self offset dim1 dim2"),
    "aten.unfold.default": replace(view("self dimension size step"), grows=True),
    "aten.expand.default": replace(view("self size implicit"), grows=True),
    "aten.broadcast_to.default": replace(view("self size"), grows=True),
    "aten.meshgrid.default": replace(view("tensors"), grows=True),
    "aten.meshgrid.indexing": replace(view("tensors indexing"), grows=True),
    "aten.contiguous.default": view("self memory_format"),
    "aten.clone.default": function("self memory_format"),
    "aten.lift_fresh_copy.default": function("self"),
    **each(view("self dtype non_blocking copy memory_format"), "to.dtype to.dtype_layout"),
    "aten.to.other": view("self other non_blocking copy memory_format"),
    # Of what they are given twice they make twice as much, and sixty of them in a row more than there is.
    **each(growing("tensors dim"), "cat.default concat.default concatenate.default stack.default"),
    **each(growing("tensors"), "hstack.default vstack.default dstack.default column_stack.default row_stack.default"),
    "aten.flip.default": function("self dims"),
    **each(function("self"), "fliplr.default flipud.default"),
    "aten.rot90.default": function("self k dims"),
    "aten.roll.default": function("self shifts dims"),
    **each(function("self diagonal"), "tril.default triu.default"),
    "aten.slice_scatter.default": function("self src dim start end step"),
    "aten.select_scatter.default": function("self src dim index"),
    "aten.diagonal_scatter.default": function("self src offset dim1 dim2"),
    "aten.repeat.default": growing("self repeats"),
    "aten.tile.default": growing("self dims"),
    "aten.repeat_interleave.self_int": growing("self repeats dim output_size"),
    "aten.pad.default": growing("self pad mode value"),
    "aten.constant_pad_nd.default": growing("self pad value"),
    "aten.diag_embed.default": growing("self offset dim1 dim2"),
}

_MAKERS = {
    **each(maker("size dtype"), "zeros.default ones.default"),
    "aten.full.default": maker("size fill_value dtype"),
    "aten.scalar_tensor.default": maker("s dtype"),
    "aten.eye.default": maker("n dtype"),
    "aten.eye.m": maker("n m dtype"),
    "aten.arange.default": maker("end dtype"),
    "aten.arange.start": maker("start end dtype"),
    "aten.arange.start_step": maker("start end step dtype"),
    "aten.linspace.default": maker("start end steps dtype"),
    **each(maker("row col offset dtype"), "tril_indices.default triu_indices.default"),
    **each(function("self dtype memory_format"), "zeros_like.default ones_like.default"),
    "aten.full_like.default": function("self fill_value dtype memory_format"),
    **each(growing("self size dtype"), "new_zeros.default new_ones.default"),
    "aten.new_full.default": growing("self size fill_value dtype"),
}

_LOOK_UPS = {
    "aten.index.Tensor": function("self indices"),
    "aten.index_select.default": function("self dim index"),
    "aten.gather.default": function("self dim index sparse_grad"),
    "aten.take_along_dim.default": function("self indices dim"),
    **each(function("self dim index src"), "scatter.src scatter_add.default"),
    **each(function("self dim index value"), "scatter.value index_fill.int_Scalar"),
    "aten.index_add.default": function("self dim index source alpha"),
    "aten.index_copy.default": function("self dim index source"),
    "aten.masked_scatter.default": function("self mask source"),
    "aten.scatter_reduce.two": function("self dim index src reduce include_self"),
    "aten.index_put.default": function("self indices values accumulate"),
    **each(function("self mask value"), "masked_fill.Scalar masked_fill.Tensor"),
    **each(function("condition self other"), "where.self where.ScalarSelf where.ScalarOther where.Scalar"),
    "aten.topk.default": function("self k dim largest sorted"),
    **each(function("self dim descending"), "sort.default argsort.default"),
    "aten.sort.stable": function("self stable dim descending"),
    **each(function("self dim keepdim"), "argmax.default argmin.default"),
    "aten.bucketize.Tensor": function("self boundaries out_int32 right"),
    "aten.one_hot.default": growing("self num_classes"),
}

_ARITHMETIC = {
    **each(
        function("self"),
        "neg.default reciprocal.default abs.default sign.default square.default sqrt.default rsqrt.default "
        "floor.default ceil.default round.default trunc.default frac.default exp.default exp2.default expm1.default "
        "log.default log2.default log10.default log1p.default sin.default cos.default tan.default asin.default "
        "acos.default atan.default sinh.default cosh.default asinh.default acosh.default atanh.default erf.default "
        "erfc.default erfinv.default  sinc.default special_sinc.default special_expit.default "
        "negative.default absolute.default",
    ),
    **each(
        function("self other alpha"),
        "add.Tensor add.Scalar sub.Tensor sub.Scalar subtract.Tensor rsub.Tensor rsub.Scalar",
    ),
    **each(
        function("self other"),
        "mul.Tensor mul.Scalar multiply.Tensor div.Tensor div.Scalar divide.Tensor true_divide.Tensor "
        "floor_divide.default floor_divide.Scalar remainder.Tensor remainder.Scalar fmod.Tensor fmod.Scalar "
        "maximum.default minimum.default max.other min.other atan2.default hypot.default logaddexp.default "
        "vdot.default",
    ),
    **each(function("self other rounding_mode"), "div.Tensor_mode div.Scalar_mode"),
    **each(function("self exponent"), "pow.Tensor_Scalar pow.Tensor_Tensor pow.Scalar"),
    **each(function("self min max"), "clamp.default clamp.Tensor clip.default"),
    **each(function("self min"), "clamp_min.default clamp_min.Tensor"),
    **each(function("self max"), "clamp_max.default clamp_max.Tensor"),
    **each(function("self end weight"), "lerp.Scalar lerp.Tensor"),
    **each(function("self tensor1 tensor2 value"), "addcmul.default addcdiv.default"),
    **each(function("self dim dtype"), "cumsum.default cumprod.default"),
    **each(function("self dim"), "logcumsumexp.default cummax.default cummin.default"),
    "aten.heaviside.default": function("self values"),
    "aten.round.decimals": function("self decimals"),
    "aten.logit.default": function("self eps"),
    "aten.nan_to_num.default": function("self nan posinf neginf"),
    "aten.diff.default": function("self n dim prepend append"),
    "aten.dot.default": function("self tensor"),
    "aten.linalg_vecdot.default": function("x y dim"),
    **each(growing("self vec2"), "outer.default ger.default"),
    "aten.kron.default": growing("self other"),
    "aten.tensordot.default": growing("self other dims_self dims_other"),
    "aten.cdist.default": growing("x1 x2 p compute_mode"),
    "aten.cosine_similarity.default": function("x1 x2 dim eps"),
    "aten.pairwise_distance.default": function("x1 x2 p eps keepdim"),
}

_LOGIC = {
    **each(
        function("self other"),
        "gt.Scalar ge.Scalar lt.Scalar le.Scalar eq.Scalar ne.Scalar gt.Tensor ge.Tensor lt.Tensor le.Tensor "
        "eq.Tensor ne.Tensor logical_and.default logical_or.default logical_xor.default bitwise_and.Tensor "
        "bitwise_and.Scalar bitwise_or.Tensor bitwise_or.Scalar bitwise_xor.Tensor bitwise_xor.Scalar "
        "__and__.Tensor __and__.Scalar __or__.Tensor __or__.Scalar __xor__.Tensor __xor__.Scalar",
    ),
    **each(
        function("self"),
        "logical_not.default bitwise_not.default isnan.default isinf.default isfinite.default any.default all.default",
    ),
    **each(function("self dim keepdim"), "any.dim any.dims all.dim all.dims"),
}

_REDUCTIONS = {
    **each(function("self"), "max.default min.default median.default"),
    **each(function("self dtype"), "mean.default sum.default prod.default"),
    **each(function("self dim keepdim dtype"), "mean.dim sum.dim_IntList prod.dim_int"),
    **each(
        function("self dim keepdim"),
        "amax.default amin.default aminmax.default max.dim min.dim median.dim logsumexp.default",
    ),
    **each(function("self unbiased"), "var.default std.default"),
    **each(function("self dim unbiased keepdim"), "var.dim std.dim var_mean.dim std_mean.dim"),
    **each(
        function("self dim correction keepdim"),
        "var.correction std.correction var_mean.correction std_mean.correction",
    ),
    "aten.norm.Scalar": function("self p"),
    "aten.norm.ScalarOpt_dim": function("self p dim keepdim"),
    **each(function("self ord dim keepdim dtype"), "linalg_vector_norm.default linalg_norm.default"),
    **each(function("self dim"), "count_nonzero.default count_nonzero.dim_IntList"),
    "aten.histc.default": growing("self bins min max"),
}

_SIZES = {
    "aten.sym_size.int": function("self dim"),
    "aten.sym_numel.default": function("self"),
    **{f"int.{name}": function("a b") for name in ("add", "sub", "mul", "floordiv", "mod", "pow", "max", "min")},
    **{f"int.{name}": function("a") for name in ("neg", "floor", "ceil", "trunc", "round")},
    **{f"float.{name}": function("a b") for name in ("add", "sub", "mul", "truediv", "pow", "max", "min")},
    **{f"float.{name}": function("a") for name in ("neg", "sqrt", "of")},
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
