"""The function that runs each operator of the allow-list, in one explicit table.

The names of a file are keys of this table and nothing else: no attribute of torch is ever looked up by a name that a
file gives. A test holds the keys equal to those of `sterna.graph.OPERATORS`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import torch

MAX_INTEGER: Final = 2**63 - 1

_aten = torch.ops.aten


def whole(function: Callable[..., int]) -> Callable[..., int]:
    """Arithmetic on sizes that refuses everything else: a text times a number could fill the memory."""

    def compute(a: int, *b: int) -> int:
        if not all(type(value) is int for value in (a, *b)):
            raise TypeError("arithmetic on sizes is for integers")
        result = function(a, *b)
        if abs(result) > MAX_INTEGER:
            raise OverflowError("a size needs more than 64 bits")
        return result

    def call(*, a: int, b: int | None = None) -> int:
        return compute(a) if b is None else compute(a, b)

    return call


FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "aten.linear.default": _aten.linear.default,
    "aten.addmm.default": _aten.addmm.default,
    "aten.mm.default": _aten.mm.default,
    "aten.matmul.default": _aten.matmul.default,
    "aten.bmm.default": _aten.bmm.default,
    "aten.conv1d.default": _aten.conv1d.default,
    "aten.conv1d.padding": _aten.conv1d.padding,
    "aten.conv2d.default": _aten.conv2d.default,
    "aten.conv2d.padding": _aten.conv2d.padding,
    "aten.conv3d.default": _aten.conv3d.default,
    "aten.conv3d.padding": _aten.conv3d.padding,
    "aten.conv_transpose1d.default": _aten.conv_transpose1d.default,
    "aten.conv_transpose2d.input": _aten.conv_transpose2d.input,
    "aten.conv_transpose3d.input": _aten.conv_transpose3d.input,
    "aten.embedding.default": _aten.embedding.default,
    "aten.batch_norm.default": partial(_aten.batch_norm.default, cudnn_enabled=True),
    "aten.instance_norm.default": partial(_aten.instance_norm.default, cudnn_enabled=True),
    "aten.layer_norm.default": _aten.layer_norm.default,
    "aten.group_norm.default": _aten.group_norm.default,
    "aten.rms_norm.default": _aten.rms_norm.default,
    "aten.dropout.default": _aten.dropout.default,
    "aten.feature_dropout.default": _aten.feature_dropout.default,
    "aten.alpha_dropout.default": _aten.alpha_dropout.default,
    "aten.feature_alpha_dropout.default": _aten.feature_alpha_dropout.default,
    "aten.max_pool1d.default": _aten.max_pool1d.default,
    "aten.max_pool2d.default": _aten.max_pool2d.default,
    "aten.max_pool3d.default": _aten.max_pool3d.default,
    "aten.avg_pool1d.default": _aten.avg_pool1d.default,
    "aten.avg_pool2d.default": _aten.avg_pool2d.default,
    "aten.avg_pool3d.default": _aten.avg_pool3d.default,
    "aten.adaptive_avg_pool1d.default": _aten.adaptive_avg_pool1d.default,
    "aten.adaptive_avg_pool2d.default": _aten.adaptive_avg_pool2d.default,
    "aten.adaptive_avg_pool3d.default": _aten.adaptive_avg_pool3d.default,
    "aten.adaptive_max_pool1d.default": _aten.adaptive_max_pool1d.default,
    "aten.adaptive_max_pool2d.default": _aten.adaptive_max_pool2d.default,
    "aten.adaptive_max_pool3d.default": _aten.adaptive_max_pool3d.default,
    "aten.upsample_nearest1d.vec": _aten.upsample_nearest1d.vec,
    "aten.upsample_nearest2d.vec": _aten.upsample_nearest2d.vec,
    "aten.upsample_bilinear2d.vec": _aten.upsample_bilinear2d.vec,
    "aten.pixel_shuffle.default": _aten.pixel_shuffle.default,
    "aten.relu.default": _aten.relu.default,
    "aten.relu6.default": _aten.relu6.default,
    "aten.hardtanh.default": _aten.hardtanh.default,
    "aten.leaky_relu.default": _aten.leaky_relu.default,
    "aten.prelu.default": _aten.prelu.default,
    "aten.elu.default": _aten.elu.default,
    "aten.selu.default": _aten.selu.default,
    "aten.celu.default": _aten.celu.default,
    "aten.gelu.default": _aten.gelu.default,
    "aten.silu.default": _aten.silu.default,
    "aten.mish.default": _aten.mish.default,
    "aten.sigmoid.default": _aten.sigmoid.default,
    "aten.log_sigmoid.default": _aten.log_sigmoid.default,
    "aten.tanh.default": _aten.tanh.default,
    "aten.softmax.int": _aten.softmax.int,
    "aten.log_softmax.int": _aten.log_softmax.int,
    "aten.hardswish.default": _aten.hardswish.default,
    "aten.hardsigmoid.default": _aten.hardsigmoid.default,
    "aten.softplus.default": _aten.softplus.default,
    "aten.glu.default": _aten.glu.default,
    "aten.view.default": _aten.view.default,
    "aten.reshape.default": _aten.reshape.default,
    "aten.flatten.using_ints": _aten.flatten.using_ints,
    "aten.unflatten.int": _aten.unflatten.int,
    "aten.permute.default": _aten.permute.default,
    "aten.transpose.int": _aten.transpose.int,
    "aten.t.default": _aten.t.default,
    "aten.numpy_T.default": _aten.numpy_T.default,
    "aten.mT.default": _aten.mT.default,
    "aten.squeeze.default": _aten.squeeze.default,
    "aten.squeeze.dim": _aten.squeeze.dim,
    "aten.squeeze.dims": _aten.squeeze.dims,
    "aten.unsqueeze.default": _aten.unsqueeze.default,
    "aten.chunk.default": _aten.chunk.default,
    "aten.split.Tensor": _aten.split.Tensor,
    "aten.split_with_sizes.default": _aten.split_with_sizes.default,
    "aten.unbind.int": _aten.unbind.int,
    "aten.slice.Tensor": _aten.slice.Tensor,
    "aten.select.int": _aten.select.int,
    "aten.expand.default": _aten.expand.default,
    "aten.expand_as.default": _aten.expand_as.default,
    "aten.view_as.default": _aten.view_as.default,
    "aten.contiguous.default": _aten.contiguous.default,
    "aten.detach.default": _aten.detach.default,
    "aten.alias.default": _aten.alias.default,
    "aten.to.dtype": _aten.to.dtype,
    "aten.clone.default": _aten.clone.default,
    "aten.lift_fresh_copy.default": _aten.lift_fresh_copy.default,
    "aten.cat.default": _aten.cat.default,
    "aten.stack.default": _aten.stack.default,
    "aten.repeat.default": _aten.repeat.default,
    "aten.flip.default": _aten.flip.default,
    "aten.pad.default": _aten.pad.default,
    "aten.constant_pad_nd.default": _aten.constant_pad_nd.default,
    "aten.add.Tensor": _aten.add.Tensor,
    "aten.sub.Tensor": _aten.sub.Tensor,
    "aten.mul.Tensor": _aten.mul.Tensor,
    "aten.div.Tensor": _aten.div.Tensor,
    "aten.add.Scalar": _aten.add.Scalar,
    "aten.sub.Scalar": _aten.sub.Scalar,
    "aten.mul.Scalar": _aten.mul.Scalar,
    "aten.div.Scalar": _aten.div.Scalar,
    "aten.rsub.Scalar": _aten.rsub.Scalar,
    "aten.neg.default": _aten.neg.default,
    "aten.reciprocal.default": _aten.reciprocal.default,
    "aten.abs.default": _aten.abs.default,
    "aten.pow.Tensor_Scalar": _aten.pow.Tensor_Scalar,
    "aten.pow.Tensor_Tensor": _aten.pow.Tensor_Tensor,
    "aten.square.default": _aten.square.default,
    "aten.sqrt.default": _aten.sqrt.default,
    "aten.rsqrt.default": _aten.rsqrt.default,
    "aten.exp.default": _aten.exp.default,
    "aten.log.default": _aten.log.default,
    "aten.log1p.default": _aten.log1p.default,
    "aten.sin.default": _aten.sin.default,
    "aten.cos.default": _aten.cos.default,
    "aten.clamp.default": _aten.clamp.default,
    "aten.clamp_min.default": _aten.clamp_min.default,
    "aten.clamp_max.default": _aten.clamp_max.default,
    "aten.maximum.default": _aten.maximum.default,
    "aten.minimum.default": _aten.minimum.default,
    "aten.where.self": _aten.where.self,
    "aten.masked_fill.Scalar": _aten.masked_fill.Scalar,
    "aten.gt.Scalar": _aten.gt.Scalar,
    "aten.ge.Scalar": _aten.ge.Scalar,
    "aten.lt.Scalar": _aten.lt.Scalar,
    "aten.le.Scalar": _aten.le.Scalar,
    "aten.eq.Scalar": _aten.eq.Scalar,
    "aten.ne.Scalar": _aten.ne.Scalar,
    "aten.mean.default": _aten.mean.default,
    "aten.mean.dim": _aten.mean.dim,
    "aten.sum.default": _aten.sum.default,
    "aten.sum.dim_IntList": _aten.sum.dim_IntList,
    "aten.amax.default": _aten.amax.default,
    "aten.amin.default": _aten.amin.default,
    "aten.max.default": _aten.max.default,
    "aten.max.dim": _aten.max.dim,
    "aten.min.dim": _aten.min.dim,
    "aten.var.correction": _aten.var.correction,
    "aten.std.correction": _aten.std.correction,
    "aten.linalg_vector_norm.default": _aten.linalg_vector_norm.default,
    "aten.sym_size.int": _aten.sym_size.int,
    "int.add": whole(operator.add),
    "int.sub": whole(operator.sub),
    "int.mul": whole(operator.mul),
    "int.floordiv": whole(operator.floordiv),
    "int.mod": whole(operator.mod),
    "int.neg": whole(operator.neg),
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
