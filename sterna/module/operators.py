"""The function that runs each operator of the allow-list, in one explicit table.

The names of a file are keys of this table and nothing else: no attribute of torch is ever looked up by a name that a
file gives. A test holds the keys equal to those of `sterna.graph.OPERATORS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import torch

from sterna.module.grouped import grouped_mm
from sterna.module.sizes import SIZES

_aten = torch.ops.aten

_OVERLOADS: Final = (
    _aten.linear.default, _aten.bilinear.default, _aten.addmm.default, _aten.mm.default, _aten.mv.default,
    _aten.matmul.default, _aten.bmm.default, _aten.baddbmm.default, _aten.einsum.default, _aten.conv1d.default,
    _aten.conv1d.padding, _aten.conv2d.default, _aten.conv2d.padding, _aten.conv3d.default, _aten.conv3d.padding,
    _aten.conv_transpose1d.default, _aten.conv_transpose2d.input, _aten.conv_transpose3d.input,
    _aten.embedding.default, _aten.embedding_bag.padding_idx, _aten.lstm.input, _aten.gru.input,
    _aten.rnn_tanh.input, _aten.rnn_relu.input, _aten.lstm_cell.default, _aten.gru_cell.default,
    _aten.rnn_tanh_cell.default, _aten.rnn_relu_cell.default, _aten.scaled_dot_product_attention.default,
    _aten.layer_norm.default, _aten.group_norm.default, _aten.rms_norm.default, _aten._weight_norm.default,
    _aten.dropout.default, _aten.feature_dropout.default, _aten.alpha_dropout.default,
    _aten.feature_alpha_dropout.default, _aten.max_pool1d.default, _aten.max_pool2d.default,
    _aten.max_pool3d.default, _aten.max_pool1d_with_indices.default, _aten.max_pool2d_with_indices.default,
    _aten.max_pool3d_with_indices.default, _aten.max_unpool2d.default, _aten.avg_pool1d.default,
    _aten.avg_pool2d.default, _aten.avg_pool3d.default, _aten.adaptive_avg_pool1d.default,
    _aten.adaptive_avg_pool2d.default, _aten.adaptive_avg_pool3d.default, _aten.adaptive_max_pool1d.default,
    _aten.adaptive_max_pool2d.default, _aten.adaptive_max_pool3d.default, _aten.upsample_nearest1d.vec,
    _aten.upsample_nearest2d.vec, _aten.upsample_nearest3d.vec, _aten._upsample_nearest_exact1d.vec,
    _aten._upsample_nearest_exact2d.vec, _aten._upsample_nearest_exact3d.vec, _aten.upsample_linear1d.vec,
    _aten.upsample_bilinear2d.vec, _aten.upsample_trilinear3d.vec, _aten.upsample_bicubic2d.vec,
    _aten._upsample_bilinear2d_aa.vec, _aten._upsample_bicubic2d_aa.vec, _aten.pixel_shuffle.default,
    _aten.pixel_unshuffle.default, _aten.channel_shuffle.default, _aten.im2col.default, _aten.col2im.default,
    _aten.grid_sampler.default, _aten.affine_grid_generator.default, _aten.relu.default, _aten.relu6.default,
    _aten.selu.default, _aten.silu.default, _aten.mish.default, _aten.sigmoid.default, _aten.log_sigmoid.default,
    _aten.tanh.default, _aten.hardswish.default, _aten.hardsigmoid.default, _aten.hardtanh.default,
    _aten.leaky_relu.default, _aten.prelu.default, _aten.elu.default, _aten.celu.default, _aten.gelu.default,
    _aten.softmax.int, _aten.log_softmax.int, _aten.softplus.default, _aten.glu.default, _aten.threshold.default,
    _aten.hardshrink.default, _aten.softshrink.default, _aten.t.default, _aten.numpy_T.default, _aten.mT.default,
    _aten.squeeze.default, _aten.detach.default, _aten.alias.default, _aten.view_as.default,
    _aten.reshape_as.default, _aten.expand_as.default, _aten.type_as.default, _aten.squeeze.dim, _aten.squeeze.dims,
    _aten.unsqueeze.default, _aten.unbind.int, _aten.transpose.int, _aten.swapdims.default, _aten.movedim.int,
    _aten.movedim.intlist, _aten.swapaxes.default, _aten.permute.default, _aten.view.default, _aten.reshape.default,
    _aten.flatten.using_ints, _aten.unflatten.int, _aten.chunk.default, _aten.split.Tensor, _aten.split.sizes,
    _aten.split_with_sizes.default, _aten.tensor_split.sections, _aten.tensor_split.indices, _aten.slice.Tensor,
    _aten.narrow.default, _aten.select.int, _aten.diagonal.default, _aten.unfold.default, _aten.expand.default,
    _aten.broadcast_to.default, _aten.meshgrid.default, _aten.meshgrid.indexing, _aten.contiguous.default,
    _aten.clone.default, _aten.lift_fresh_copy.default, _aten.to.dtype, _aten.to.dtype_layout, _aten.to.other,
    _aten.cat.default, _aten.concat.default, _aten.stack.default, _aten.flip.default, _aten.roll.default,
    _aten.tril.default, _aten.triu.default, _aten.slice_scatter.default, _aten.select_scatter.default,
    _aten.repeat.default, _aten.tile.default, _aten.repeat_interleave.self_int, _aten.pad.default,
    _aten.constant_pad_nd.default, _aten.diag_embed.default, _aten.zeros.default, _aten.ones.default,
    _aten.full.default, _aten.scalar_tensor.default, _aten.eye.default, _aten.eye.m, _aten.arange.default,
    _aten.arange.start, _aten.arange.start_step, _aten.linspace.default, _aten.tril_indices.default,
    _aten.triu_indices.default, _aten.zeros_like.default, _aten.ones_like.default, _aten.full_like.default,
    _aten.new_zeros.default, _aten.new_ones.default, _aten.new_full.default, _aten.index.Tensor,
    _aten.index_select.default, _aten.gather.default, _aten.take_along_dim.default, _aten.scatter.src,
    _aten.scatter_add.default, _aten.scatter.value, _aten.index_fill.int_Scalar, _aten.index_add.default,
    _aten.index_copy.default, _aten.index_put.default, _aten.masked_fill.Scalar, _aten.masked_fill.Tensor,
    _aten.where.self, _aten.where.ScalarSelf, _aten.where.ScalarOther, _aten.where.Scalar, _aten.topk.default,
    _aten.sort.default, _aten.argsort.default, _aten.sort.stable, _aten.argmax.default, _aten.argmin.default,
    _aten.bucketize.Tensor, _aten.one_hot.default, _aten.neg.default, _aten.reciprocal.default, _aten.abs.default,
    _aten.sign.default, _aten.square.default, _aten.sqrt.default, _aten.rsqrt.default, _aten.floor.default,
    _aten.ceil.default, _aten.round.default, _aten.trunc.default, _aten.frac.default, _aten.exp.default,
    _aten.exp2.default, _aten.expm1.default, _aten.log.default, _aten.log2.default, _aten.log10.default,
    _aten.log1p.default, _aten.sin.default, _aten.cos.default, _aten.tan.default, _aten.asin.default,
    _aten.acos.default, _aten.atan.default, _aten.sinh.default, _aten.cosh.default, _aten.erf.default,
    _aten.erfc.default, _aten.add.Tensor, _aten.add.Scalar, _aten.sub.Tensor, _aten.sub.Scalar,
    _aten.subtract.Tensor, _aten.rsub.Tensor, _aten.rsub.Scalar, _aten.mul.Tensor, _aten.mul.Scalar,
    _aten.multiply.Tensor, _aten.div.Tensor, _aten.div.Scalar, _aten.divide.Tensor, _aten.true_divide.Tensor,
    _aten.floor_divide.default, _aten.floor_divide.Scalar, _aten.remainder.Tensor, _aten.remainder.Scalar,
    _aten.fmod.Tensor, _aten.fmod.Scalar, _aten.maximum.default, _aten.minimum.default, _aten.max.other,
    _aten.min.other, _aten.atan2.default, _aten.hypot.default, _aten.logaddexp.default, _aten.div.Tensor_mode,
    _aten.div.Scalar_mode, _aten.pow.Tensor_Scalar, _aten.pow.Tensor_Tensor, _aten.pow.Scalar, _aten.clamp.default,
    _aten.clamp.Tensor, _aten.clip.default, _aten.clamp_min.default, _aten.clamp_min.Tensor, _aten.clamp_max.default,
    _aten.clamp_max.Tensor, _aten.lerp.Scalar, _aten.lerp.Tensor, _aten.addcmul.default, _aten.addcdiv.default,
    _aten.cumsum.default, _aten.cumprod.default, _aten.logcumsumexp.default, _aten.round.decimals,
    _aten.logit.default, _aten.nan_to_num.default, _aten.diff.default, _aten.dot.default,
    _aten.outer.default, _aten.cdist.default,
    _aten.cosine_similarity.default, _aten.pairwise_distance.default, _aten.gt.Scalar, _aten.ge.Scalar,
    _aten.lt.Scalar, _aten.le.Scalar, _aten.eq.Scalar, _aten.ne.Scalar, _aten.gt.Tensor, _aten.ge.Tensor,
    _aten.lt.Tensor, _aten.le.Tensor, _aten.eq.Tensor, _aten.ne.Tensor, _aten.logical_and.default,
    _aten.logical_or.default, _aten.logical_xor.default, _aten.bitwise_and.Tensor, _aten.bitwise_and.Scalar,
    _aten.bitwise_or.Tensor, _aten.bitwise_or.Scalar, _aten.bitwise_xor.Tensor, _aten.__and__.Tensor,
    _aten.__and__.Scalar, _aten.__or__.Tensor, _aten.__or__.Scalar, _aten.logical_not.default,
    _aten.bitwise_not.default, _aten.isnan.default, _aten.isinf.default, _aten.isfinite.default, _aten.any.default,
    _aten.all.default, _aten.any.dim, _aten.any.dims, _aten.all.dim, _aten.all.dims, _aten.max.default,
    _aten.min.default, _aten.median.default, _aten.mean.default, _aten.sum.default, _aten.prod.default,
    _aten.mean.dim, _aten.sum.dim_IntList, _aten.prod.dim_int, _aten.amax.default, _aten.amin.default,
    _aten.aminmax.default, _aten.max.dim, _aten.min.dim, _aten.median.dim, _aten.logsumexp.default,
    _aten.var.default, _aten.std.default, _aten.var.dim, _aten.std.dim, _aten.var_mean.dim, _aten.std_mean.dim,
    _aten.var.correction, _aten.std.correction, _aten.var_mean.correction, _aten.std_mean.correction,
    _aten.norm.Scalar, _aten.norm.ScalarOpt_dim, _aten.linalg_vector_norm.default, _aten.linalg_norm.default,
    _aten.count_nonzero.default, _aten.count_nonzero.dim_IntList, _aten.sym_size.int, _aten.sym_numel.default,
    _aten.inner.default, _aten.rrelu.default, _aten.positive.default, _aten.ravel.default, _aten.atleast_1d.default,
    _aten.atleast_2d.default, _aten.atleast_3d.default, _aten.moveaxis.int, _aten.moveaxis.intlist, _aten.hsplit.int,
    _aten.vsplit.int, _aten.hsplit.array, _aten.vsplit.array, _aten.hstack.default, _aten.vstack.default,
    _aten.dstack.default, _aten.column_stack.default, _aten.row_stack.default, _aten.fliplr.default,
    _aten.flipud.default, _aten.rot90.default, _aten.diagonal_scatter.default, _aten.scatter_reduce.two,
    _aten.asinh.default, _aten.acosh.default, _aten.atanh.default, _aten.erfinv.default,
    _aten.sinc.default, _aten.special_sinc.default, _aten.special_expit.default, _aten.negative.default,
    _aten.absolute.default, _aten.vdot.default, _aten.cummax.default, _aten.cummin.default, _aten.heaviside.default,
    _aten.linalg_vecdot.default, _aten.ger.default, _aten.kron.default, _aten.tensordot.default,
    _aten.bitwise_xor.Scalar, _aten.__xor__.Tensor, _aten.__xor__.Scalar, _aten.histc.default,
    _aten.masked_scatter.default,
    _aten.concatenate.default,
)  # fmt: skip

FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    **{str(overload): overload for overload in _OVERLOADS},
    "aten.batch_norm.default": partial(_aten.batch_norm.default, cudnn_enabled=True),
    "aten.instance_norm.default": partial(_aten.instance_norm.default, cudnn_enabled=True),
    "transformers.grouped_mm_fallback.default": grouped_mm,
    **SIZES,
}

DTYPES: Final[Mapping[str, torch.dtype]] = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "int64": torch.int64,
    "int32": torch.int32,
    "int16": torch.int16,
    "int8": torch.int8,
    "uint8": torch.uint8,
    "bool": torch.bool,
}

MEMORY_FORMATS: Final[Mapping[str, torch.memory_format]] = {
    "contiguous_format": torch.contiguous_format,
    "preserve_format": torch.preserve_format,
    "channels_last": torch.channels_last,
    "channels_last_3d": torch.channels_last_3d,
}
