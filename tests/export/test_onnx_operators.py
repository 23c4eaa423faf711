"""Every rule against torch: a graph of one operator runs in ONNX Runtime and in torch, and both say the same."""

import math

import numpy as np
import onnx
import pytest
import torch

from sterna.artifact import Artifact
from sterna.errors import ExportUnsupported
from sterna.export.onnx_graph import RULES, build_onnx
from sterna.export.onnx_graph.recurrent import RECURRENT
from sterna.graph import OPERATORS, Dtype, Graph, Input, Network, Node, TensorInfo, TensorRef, ValueRef
from sterna.module import load_module

V, T = ValueRef, TensorRef
X, Y, WHOLE, MASK = V("x"), V("y"), V("i"), V("mask")  # (batch, 4, 6) twice, int64 (batch, 3), bool (batch, 4, 6)
IMAGE, WAVE, CUBE = V("image"), V("wave"), V("cube")  # (batch, 4, 9, 8), (batch, 4, 11), (batch, 4, 5, 6, 7)
INPUTS = (
    Input("x", "float32", (None, 4, 6)),
    Input("y", "float32", (None, 4, 6)),
    Input("i", "int64", (None, 3)),
    Input("mask", "bool", (None, 4, 6)),
    Input("image", "float32", (None, 4, 9, 8)),
    Input("wave", "float32", (None, 4, 11)),
    Input("cube", "float32", (None, 4, 5, 6, 7)),
)
SHAPES = {
    "wide": (5, 6), "tall": (6, 5), "square": (24, 4), "left": (3, 4), "stack": (2, 6, 3), "row": (4,), "plane": (4, 6),
    "mean": (4,), "variance": (4,), "bias5": (5,), "bias8": (8,), "last": (6,), "table": (10, 7),
    "conv1": (8, 4, 3), "conv2": (8, 4, 3, 2), "grouped": (8, 2, 3, 3), "conv3": (8, 4, 2, 3, 2),
    "square4": (4, 4), "up1": (4, 8, 3), "up2": (4, 8, 3, 2), "up3": (4, 8, 2, 2, 2),
}  # fmt: skip
N = {"running_mean": T("mean"), "running_var": T("variance"), "weight": T("row"), "bias": T("row")}

CASES: list[tuple[str, dict[str, object]]] = [
    ("aten.linear.default", {"input": X, "weight": T("wide"), "bias": T("bias5")}),
    ("aten.linear.default", {"input": X, "weight": T("wide")}),
    ("aten.addmm.default", {"self": T("bias5"), "mat1": V("flat6"), "mat2": T("tall")}),
    ("aten.addmm.default", {"self": T("bias5"), "mat1": V("flat6"), "mat2": T("tall"), "beta": 0.5, "alpha": 3}),
    ("aten.mm.default", {"self": V("flat6"), "mat2": T("tall")}),
    ("aten.matmul.default", {"self": X, "other": T("tall")}),
    ("aten.matmul.default", {"self": T("left"), "other": X}),
    ("aten.bmm.default", {"self": X, "mat2": V("turned")}),
    ("aten.conv1d.default", {"input": WAVE, "weight": T("conv1"), "bias": T("bias8"), "stride": (2,), "padding": (1,)}),
    ("aten.conv1d.padding", {"input": WAVE, "weight": T("conv1"), "padding": "same", "dilation": (3,)}),
    ("aten.conv2d.default", {"input": IMAGE, "weight": T("conv2"), "bias": T("bias8"), "dilation": (2, 1)}),
    ("aten.conv2d.default", {"input": IMAGE, "weight": T("grouped"), "groups": 2, "padding": (1, 2), "stride": (2, 1)}),
    ("aten.conv2d.default", {"input": V("one_image"), "weight": T("conv2")}),
    ("aten.conv2d.padding", {"input": IMAGE, "weight": T("conv2"), "padding": "same"}),
    ("aten.conv2d.padding", {"input": IMAGE, "weight": T("conv2"), "padding": "valid"}),
    ("aten.conv3d.default", {"input": CUBE, "weight": T("conv3"), "bias": T("bias8")}),
    ("aten.conv3d.padding", {"input": CUBE, "weight": T("conv3"), "padding": "same"}),
    ("aten.conv_transpose1d.default", {"input": WAVE, "weight": T("up1"), "stride": (2,), "output_padding": (1,)}),
    ("aten.conv_transpose2d.input", {"input": IMAGE, "weight": T("up2"), "bias": T("bias8"), "padding": (1, 1)}),
    ("aten.conv_transpose3d.input", {"input": CUBE, "weight": T("up3"), "dilation": (1, 2, 1)}),
    ("aten.embedding.default", {"weight": T("table"), "indices": WHOLE}),
    ("aten.batch_norm.default", {"input": IMAGE, **N, "training": False, "momentum": 0.1, "eps": 1e-3}),
    ("aten.batch_norm.default",
     {"input": X, **N, "weight": None, "bias": None, "training": False, "momentum": 0.1, "eps": 1e-5}),
    ("aten.batch_norm.default",
     {"input": X, "weight": T("row"), "bias": T("row"), "running_mean": None, "running_var": None, "training": True,
      "momentum": 0.1, "eps": 1e-5}),
    ("aten.instance_norm.default",
     {"input": IMAGE, "weight": T("row"), "bias": T("row"), "running_mean": None, "running_var": None,
      "use_input_stats": True, "momentum": 0.1, "eps": 1e-5}),
    ("aten.instance_norm.default", {"input": IMAGE, **N, "use_input_stats": False, "momentum": 0.1, "eps": 1e-5}),
    ("aten.layer_norm.default", {"input": X, "normalized_shape": (4, 6), "weight": T("plane"), "bias": T("plane")}),
    ("aten.layer_norm.default", {"input": X, "normalized_shape": (6,), "eps": 1e-2}),
    ("aten.group_norm.default", {"input": IMAGE, "num_groups": 2, "weight": T("row"), "bias": T("row"), "eps": 1e-5}),
    ("aten.rms_norm.default", {"input": X, "normalized_shape": (6,), "weight": T("last")}),
    ("aten.rms_norm.default", {"input": X, "normalized_shape": (4, 6), "eps": 1e-3}),
    *[(f"aten.{name}.default", {"input": X, "p": 0.5, "train": False})
      for name in ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")],
    ("aten.max_pool1d.default",
     {"self": WAVE, "kernel_size": (3,), "stride": (2,), "padding": (1,), "ceil_mode": True}),
    ("aten.max_pool2d.default", {"self": IMAGE, "kernel_size": (3, 2), "dilation": (2, 1)}),
    ("aten.max_pool2d.default", {"self": IMAGE, "kernel_size": (2,), "ceil_mode": True}),
    ("aten.max_pool3d.default", {"self": CUBE, "kernel_size": (2, 2, 3)}),
    ("aten.avg_pool1d.default", {"self": WAVE, "kernel_size": (3,), "padding": (1,), "count_include_pad": False}),
    ("aten.avg_pool2d.default", {"self": IMAGE, "kernel_size": (3, 2), "stride": (2, 2), "padding": (1, 1)}),
    ("aten.avg_pool2d.default", {"self": IMAGE, "kernel_size": (2, 3), "ceil_mode": True}),
    ("aten.avg_pool3d.default", {"self": CUBE, "kernel_size": (2,)}),
    ("aten.adaptive_avg_pool1d.default", {"self": WAVE, "output_size": (4,)}),
    ("aten.adaptive_avg_pool2d.default", {"self": IMAGE, "output_size": (1, 1)}),
    ("aten.adaptive_avg_pool2d.default", {"self": IMAGE, "output_size": (4, 8)}),
    ("aten.adaptive_avg_pool3d.default", {"self": CUBE, "output_size": (2, 3, 4)}),
    ("aten.upsample_nearest1d.vec", {"input": WAVE, "output_size": None, "scale_factors": (2.5,)}),
    ("aten.upsample_nearest2d.vec", {"input": IMAGE, "output_size": (13, 5), "scale_factors": None}),
    ("aten.upsample_bilinear2d.vec",
     {"input": IMAGE, "output_size": (13, 5), "align_corners": False, "scale_factors": None}),
    ("aten.upsample_bilinear2d.vec",
     {"input": IMAGE, "output_size": (13, 5), "align_corners": True, "scale_factors": None}),
    ("aten.upsample_bilinear2d.vec",
     {"input": IMAGE, "output_size": None, "align_corners": False, "scale_factors": (2.0, 1.5)}),
    ("aten.pixel_shuffle.default", {"self": IMAGE, "upscale_factor": 2}),
    *[(f"aten.{name}.default", {"self": X}) for name in
      ("relu", "relu6", "selu", "silu", "mish", "sigmoid", "log_sigmoid", "tanh", "hardswish", "hardsigmoid", "gelu",
       "celu", "elu", "hardtanh", "leaky_relu", "softplus", "neg", "abs", "square", "exp", "sin", "cos")],
    ("aten.hardtanh.default", {"self": X, "min_val": -0.3, "max_val": 0.7}),
    ("aten.leaky_relu.default", {"self": X, "negative_slope": 0.3}),
    ("aten.prelu.default", {"self": X, "weight": T("row")}),
    ("aten.elu.default", {"self": X, "alpha": 0.7, "scale": 1.5, "input_scale": 2.0}),
    ("aten.celu.default", {"self": X, "alpha": 0.5}),
    ("aten.gelu.default", {"self": X, "approximate": "tanh"}),
    ("aten.softmax.int", {"self": X, "dim": -1}),
    ("aten.softmax.int", {"self": WHOLE, "dim": 1, "dtype": Dtype("float32")}),
    ("aten.log_softmax.int", {"self": X, "dim": 1}),
    ("aten.softplus.default", {"self": X, "beta": 3, "threshold": 1}),
    ("aten.glu.default", {"self": X, "dim": 1}),
    ("aten.view.default", {"self": X, "size": (V("batch"), 2, 12)}),
    ("aten.reshape.default", {"self": X, "shape": (-1, 3)}),
    ("aten.flatten.using_ints", {"self": IMAGE, "start_dim": 1, "end_dim": 2}),
    ("aten.flatten.using_ints", {"self": X}),
    ("aten.unflatten.int", {"self": X, "dim": -1, "sizes": (2, -1)}),
    ("aten.permute.default", {"self": X, "dims": (0, -1, 1)}),
    ("aten.transpose.int", {"self": X, "dim0": 1, "dim1": -1}),
    ("aten.t.default", {"self": V("flat6")}),
    ("aten.numpy_T.default", {"self": V("flat6")}),
    ("aten.mT.default", {"self": X}),
    ("aten.squeeze.default", {"self": V("thin")}),
    ("aten.squeeze.dim", {"self": V("thin"), "dim": 1}),
    ("aten.squeeze.dims", {"self": V("thin"), "dim": (1, 2)}),
    ("aten.unsqueeze.default", {"self": X, "dim": -1}),
    ("aten.expand.default", {"self": V("thin"), "size": (2, -1, 3, -1, -1)}),
    ("aten.expand_as.default", {"self": T("last"), "other": X}),
    ("aten.view_as.default", {"self": V("flat6"), "other": X}),
    *[(f"aten.{name}.default", {"self": X}) for name in ("contiguous", "detach", "alias", "clone", "lift_fresh_copy")],
    ("aten.to.dtype", {"self": WHOLE, "dtype": Dtype("float32")}),
    ("aten.cat.default", {"tensors": (X, Y), "dim": -1}),
    ("aten.cat.default", {"tensors": (WHOLE, V("float_i")), "dim": 1}),
    ("aten.stack.default", {"tensors": (X, Y), "dim": 2}),
    ("aten.repeat.default", {"self": X, "repeats": (2, 1, 3, 2)}),
    ("aten.flip.default", {"self": X, "dims": (1, -1)}),
    ("aten.pad.default", {"self": X, "pad": (1, 2), "mode": "constant", "value": 0.5}),
    ("aten.pad.default", {"self": X, "pad": (1, 2), "mode": "reflect"}),
    ("aten.pad.default", {"self": X, "pad": (1, 2), "mode": "replicate"}),
    ("aten.pad.default", {"self": X, "pad": (1, 2), "mode": "circular"}),
    ("aten.constant_pad_nd.default", {"self": X, "pad": (-1, 2, 0, 1), "value": 2}),
    ("aten.slice.Tensor", {"self": X, "dim": 1, "start": 1, "end": 2**63 - 1, "step": 2}),
    ("aten.slice.Tensor", {"self": X, "dim": 2, "start": -3, "end": -1}),
    ("aten.select.int", {"self": X, "dim": 1, "index": -1}),
    *[(f"aten.{name}.{kind}", {"self": X, "other": other}) for name in ("add", "sub", "mul", "div")
      for kind, other in (("Tensor", Y), ("Scalar", 3))],
    ("aten.add.Tensor", {"self": X, "other": V("row_of_i"), "alpha": 2}),
    ("aten.sub.Tensor", {"self": X, "other": Y, "alpha": 0.5}),
    ("aten.add.Scalar", {"self": WHOLE, "other": 0.5}),
    ("aten.div.Tensor", {"self": WHOLE, "other": WHOLE}),
    ("aten.rsub.Scalar", {"self": X, "other": 2, "alpha": 3}),
    ("aten.reciprocal.default", {"self": V("positive")}),
    ("aten.pow.Tensor_Scalar", {"self": V("positive"), "exponent": 1.5}),
    ("aten.pow.Tensor_Scalar", {"self": X, "exponent": 2}),
    ("aten.pow.Tensor_Tensor", {"self": V("positive"), "exponent": Y}),
    *[(f"aten.{name}.default", {"self": V("positive")}) for name in ("sqrt", "rsqrt", "log", "log1p")],
    ("aten.clamp.default", {"self": X, "min": -0.5}),
    ("aten.clamp.default", {"self": X, "min": -0.5, "max": 0.5}),
    ("aten.clamp_min.default", {"self": X, "min": 0.1}),
    ("aten.clamp_max.default", {"self": WHOLE, "max": 4}),
    ("aten.maximum.default", {"self": X, "other": Y}),
    ("aten.minimum.default", {"self": X, "other": Y}),
    ("aten.where.self", {"condition": MASK, "self": X, "other": Y}),
    ("aten.masked_fill.Scalar", {"self": X, "mask": MASK, "value": -math.inf}),
    *[(f"aten.{name}.Scalar", {"self": WHOLE, "other": 4}) for name in ("gt", "ge", "lt", "le", "eq", "ne")],
    ("aten.gt.Scalar", {"self": X, "other": 0}),
    ("aten.mean.default", {"self": X}),
    ("aten.mean.dim", {"self": IMAGE, "dim": (2, -1), "keepdim": True}),
    ("aten.sum.default", {"self": X}),
    ("aten.sum.dim_IntList", {"self": X, "dim": (1,)}),
    ("aten.sum.dim_IntList", {"self": MASK, "dim": (1,)}),
    ("aten.amax.default", {"self": X, "dim": (1, 2)}),
    ("aten.amin.default", {"self": X, "dim": (-1,), "keepdim": True}),
    ("aten.max.default", {"self": X}),
    ("aten.var.correction", {"self": X, "dim": (1, 2), "correction": 1}),
    ("aten.var.correction", {"self": X, "dim": (0,), "correction": 0, "keepdim": True}),
    ("aten.std.correction", {"self": X, "dim": None, "correction": 1}),
    *[("aten.linalg_vector_norm.default", {"self": X, "ord": order, "dim": (-1,), "keepdim": True})
      for order in (1, 2, 3, math.inf)],
]  # fmt: skip
MORE: list[tuple[str, dict[str, object]]] = [
    ("aten.upsample_nearest3d.vec", {"input": CUBE, "output_size": (3, 7, 9), "scale_factors": None}),
    ("aten.upsample_linear1d.vec",
     {"input": WAVE, "output_size": (17,), "align_corners": False, "scale_factors": None}),
    ("aten.upsample_trilinear3d.vec",
     {"input": CUBE, "output_size": (6, 7, 9), "align_corners": True, "scale_factors": None}),
    ("aten.logsumexp.default", {"self": X, "dim": (1, 2)}),
    ("aten.prod.default", {"self": X}),
    ("aten.prod.dim_int", {"self": WHOLE, "dim": 1}),
    ("aten.einsum.default", {"equation": "bij, ok -> b o", "tensors": (X, T("plane"))}),
    ("aten.einsum.default", {"equation": "bij,bkj->bik", "tensors": (X, Y)}),
    ("aten.count_nonzero.default", {"self": MASK}),
    ("aten.count_nonzero.dim_IntList", {"self": MASK, "dim": (1,)}),
    ("aten.mv.default", {"self": V("flat6"), "vec": T("last")}),
    ("aten.mv.default", {"self": T("wide"), "vec": T("last")}),
    ("aten.dot.default", {"self": T("last"), "tensor": T("last")}),
    ("aten.baddbmm.default", {"self": V("heads0"), "batch1": X, "batch2": V("turned"), "beta": 0.5, "alpha": 2}),
    *[(f"aten.{kind}.Tensor", {"self": X, "other": Y}) for kind in ("gt", "ge", "lt", "le", "eq", "ne")],
    *[(f"aten.logical_{kind}.default", {"self": WHOLE, "other": V("far")}) for kind in ("and", "or", "xor")],
    ("aten.logical_not.default", {"self": V("far")}),
    *[(f"aten.bitwise_{kind}.Tensor", {"self": WHOLE, "other": V("far")}) for kind in ("and", "or", "xor")],
    *[(f"aten.bitwise_{kind}.Scalar", {"self": WHOLE, "other": 5}) for kind in ("and", "or")],
    *[(f"aten.__{kind}__.Tensor", {"self": MASK, "other": V("above")}) for kind in ("and", "or")],
    *[(f"aten.__{kind}__.Scalar", {"self": WHOLE, "other": 3}) for kind in ("and", "or")],
    ("aten.bitwise_not.default", {"self": MASK}),
    ("aten.bitwise_not.default", {"self": WHOLE}),
    *[(f"aten.{kind}.default", {"self": V("small")}) for kind in ("acos", "asin", "tan", "erf", "erfc")],
    *[(f"aten.{kind}.default", {"self": X}) for kind in
      ("atan", "cosh", "sinh", "ceil", "floor", "round", "sign", "exp2", "expm1", "trunc", "frac", "isfinite")],
    *[(f"aten.{kind}.default", {"self": V("holes")}) for kind in ("isnan", "isinf", "isfinite")],
    *[(f"aten.{kind}.default", {"self": V("positive")}) for kind in ("log2", "log10")],
    *[(f"aten.{kind}.Tensor", {"self": X, "other": Y}) for kind in
      ("multiply", "subtract", "divide", "true_divide", "rsub")],
    *[(f"aten.{kind}.other", {"self": X, "other": Y}) for kind in ("max", "min")],
    ("aten.clip.default", {"self": X, "min": -0.5, "max": 0.5}),
    ("aten.clamp.Tensor", {"self": X, "min": Y}),
    ("aten.clamp_min.Tensor", {"self": X, "min": Y}),
    ("aten.clamp_max.Tensor", {"self": X, "max": Y}),
    *[("aten.div.Tensor_mode", {"self": X, "other": Y, "rounding_mode": mode}) for mode in ("floor", "trunc", None)],
    *[("aten.div.Scalar_mode", {"self": V("far"), "other": 3, "rounding_mode": mode}) for mode in ("floor", "trunc")],
    ("aten.floor_divide.default", {"self": X, "other": Y}),
    ("aten.floor_divide.Scalar", {"self": V("far"), "other": 2}),
    ("aten.remainder.Tensor", {"self": X, "other": Y}),
    ("aten.remainder.Scalar", {"self": V("far"), "other": 3}),
    ("aten.fmod.Tensor", {"self": X, "other": Y}),
    ("aten.fmod.Scalar", {"self": X, "other": 0.7}),
    ("aten.addcmul.default", {"self": X, "tensor1": X, "tensor2": Y, "value": 0.5}),
    ("aten.addcdiv.default", {"self": X, "tensor1": Y, "tensor2": V("positive")}),
    ("aten.lerp.Scalar", {"self": X, "end": Y, "weight": 0.3}),
    ("aten.lerp.Tensor", {"self": X, "end": Y, "weight": V("positive")}),
    ("aten.where.ScalarOther", {"condition": MASK, "self": X, "other": 2.0}),
    ("aten.where.ScalarSelf", {"condition": MASK, "self": 2.0, "other": X}),
    ("aten.where.Scalar", {"condition": MASK, "self": 2.0, "other": 1.0}),
    ("aten.masked_fill.Tensor", {"self": X, "mask": MASK, "value": V("number")}),
    ("aten.type_as.default", {"self": WHOLE, "other": X}),
    ("aten.to.other", {"self": WHOLE, "other": X}),
    ("aten.to.dtype_layout", {"self": WHOLE, "dtype": Dtype("float32")}),
    ("aten.pow.Scalar", {"self": 2.0, "exponent": X}),
    ("aten.threshold.default", {"self": X, "threshold": 0.1, "value": 7}),
    ("aten.hardshrink.default", {"self": X, "lambd": 0.4}),
    ("aten.softshrink.default", {"self": X, "lambd": 0.4}),
    ("aten.scaled_dot_product_attention.default", {"query": V("heads"), "key": V("heads"), "value": V("heads")}),
    ("aten.scaled_dot_product_attention.default",
     {"query": V("heads"), "key": V("heads"), "value": V("heads"), "is_causal": True, "scale": 0.3}),
    ("aten.scaled_dot_product_attention.default", {"query": X, "key": Y, "value": Y, "attn_mask": V("causal")}),
    ("aten.scaled_dot_product_attention.default", {"query": X, "key": Y, "value": X, "attn_mask": T("square4")}),
    ("aten.tril.default", {"self": X, "diagonal": 1}),
    ("aten.triu.default", {"self": X}),
    ("aten.gather.default", {"self": X, "dim": 1, "index": V("places")}),
    ("aten.index_select.default", {"self": X, "dim": -1, "index": V("line")}),
    ("aten.index.Tensor", {"self": X, "indices": (None, V("pair"))}),
    ("aten.argsort.default", {"self": X, "dim": 1, "descending": True}),
    ("aten.argmax.default", {"self": X, "dim": -1}),
    ("aten.argmax.default", {"self": X}),
    ("aten.argmin.default", {"self": X, "dim": 1, "keepdim": True}),
    ("aten.cumsum.default", {"self": X, "dim": -1}),
    ("aten.cumsum.default", {"self": MASK, "dim": 1}),
    *[(f"aten.{kind}.default", {"self": MASK}) for kind in ("all", "any")],
    *[(f"aten.{kind}.dim", {"self": MASK, "dim": 1, "keepdim": True}) for kind in ("all", "any")],
    *[(f"aten.{kind}.dims", {"self": MASK, "dim": (1, 2)}) for kind in ("all", "any")],
    *[(f"aten.{kind}.default", {"self": X, "unbiased": False}) for kind in ("var", "std")],
    *[(f"aten.{kind}.dim", {"self": X, "dim": (1,), "keepdim": True}) for kind in ("var", "std")],
    ("aten.min.default", {"self": X}),
    ("aten.norm.Scalar", {"self": X, "p": 2}),
    ("aten.norm.ScalarOpt_dim", {"self": X, "p": None, "dim": (1,)}),
    *[(f"aten.{kind}.default", {"size": (V("batch"), 3), "dtype": Dtype("float32")}) for kind in ("zeros", "ones")],
    ("aten.full.default", {"size": (2, V("batch")), "fill_value": 2.5, "dtype": Dtype("float32")}),
    *[(f"aten.new_{kind}.default", {"self": WHOLE, "size": (2, 3)}) for kind in ("zeros", "ones")],
    ("aten.new_full.default", {"self": X, "size": (2, V("batch")), "fill_value": 3}),
    *[(f"aten.{kind}_like.default", {"self": X}) for kind in ("zeros", "ones")],
    ("aten.full_like.default", {"self": X, "fill_value": 1.5}),
    ("aten.scalar_tensor.default", {"s": 2.5, "dtype": Dtype("float32")}),
    ("aten.arange.default", {"end": V("batch"), "dtype": Dtype("int64")}),
    ("aten.arange.start", {"start": 2, "end": 7, "dtype": Dtype("float32")}),
    ("aten.arange.start_step", {"start": 1, "end": 9, "step": 3, "dtype": Dtype("int64")}),
    ("aten.movedim.int", {"self": IMAGE, "source": 1, "destination": -1}),
    ("aten.movedim.intlist", {"self": IMAGE, "source": (0, 1), "destination": (2, 0)}),
    ("aten.roll.default", {"self": X, "shifts": (1, -2), "dims": (0, 2)}),
    ("aten.narrow.default", {"self": X, "dim": 2, "start": -3, "length": 3}),
    ("aten.tile.default", {"self": X, "dims": (2,)}),
    ("aten.swapaxes.default", {"self": X, "axis0": 1, "axis1": 2}),
    ("aten.swapdims.default", {"self": X, "dim0": 0, "dim1": 2}),
    ("aten.broadcast_to.default", {"self": T("last"), "size": (V("batch"), 6)}),
    ("aten.concat.default", {"tensors": (X, Y), "dim": 1}),
    ("aten.reshape_as.default", {"self": V("flat6"), "other": X}),
    ("aten.outer.default", {"self": T("row"), "vec2": T("last")}),
    *[("aten.select_scatter.default", {"self": X, "src": V("first_row"), "dim": 1, "index": at}) for at in (0, 2, -1)],
    ("aten.select_scatter.default", {"self": X, "src": T("plane"), "dim": 0, "index": -1}),
    *[("aten.slice_scatter.default", {"self": X, "src": V("heads0"), "dim": 2, "start": start, "end": end})
      for start, end in ((0, 4), (1, 5), (2, None), (-4, 2**63 - 1), (1, -1))],
    ("aten.slice_scatter.default", {"self": X, "src": V("heads1"), "dim": 2, "start": 1, "end": 6, "step": 2}),
    ("aten.slice_scatter.default", {"self": X, "src": V("no_row"), "dim": 1, "start": 3, "end": 2}),
    ("aten.slice_scatter.default", {"self": X, "src": V("first"), "dim": 0, "start": 1}),
    ("aten.slice_scatter.default", {"self": X, "src": V("first"), "dim": 0, "start": None, "end": -1}),
    ("aten.slice_scatter.default", {"self": X, "src": V("none"), "dim": 0, "start": 2, "end": 1}),
    ("aten.scatter.src", {"self": X, "dim": 1, "index": V("places"), "src": Y}),
    ("aten.scatter.value", {"self": X, "dim": 1, "index": V("places"), "value": 2.5}),
    ("aten.scatter_add.default", {"self": X, "dim": 1, "index": V("places"), "src": Y}),
    *[("aten.scatter_reduce.two", {"self": X, "dim": 1, "index": V("places"), "src": Y, "reduce": how})
      for how in ("sum", "prod", "amax", "amin")],
    ("aten.index_add.default", {"self": T("plane"), "dim": 0, "index": V("line"), "source": V("three_rows")}),
    ("aten.index_add.default", {"self": X, "dim": -1, "index": V("line"), "source": V("heads1"), "alpha": 0.5}),
    *[(f"aten.{kind}.Scalar", {"self": WHOLE, "other": 5}) for kind in ("bitwise_xor", "__xor__")],
    ("aten.__xor__.Tensor", {"self": MASK, "other": V("above")}),
    *[(f"aten.{kind}.default", {"self": V("small")}) for kind in ("asinh", "atanh")],
    ("aten.acosh.default", {"self": V("above_one")}),
]  # fmt: skip
SEVERAL: list[tuple[str, dict[str, object], int]] = [
    ("aten.chunk.default", {"self": X, "chunks": 4, "dim": -1}, 3),
    ("aten.split.Tensor", {"self": X, "split_size": 4, "dim": 2}, 2),
    ("aten.split.Tensor", {"self": X, "split_size": 9, "dim": 2}, 1),
    ("aten.split_with_sizes.default", {"self": X, "split_sizes": (1, 5), "dim": 2}, 2),
    ("aten.unbind.int", {"self": X, "dim": 1}, 4),
    ("aten.max.dim", {"self": X, "dim": 1}, 2),
    ("aten.min.dim", {"self": X, "dim": -1, "keepdim": True}, 2),
    *[
        (f"aten.max_pool{axes}d_with_indices.default", {"self": given, "kernel_size": (2,) * axes}, 2)
        for axes, given in ((1, WAVE), (2, IMAGE), (3, CUBE))
    ],
    ("aten.topk.default", {"self": X, "k": 3, "dim": -1}, 2),
    ("aten.topk.default", {"self": X, "k": 2, "dim": 1, "largest": False}, 2),
    ("aten.sort.default", {"self": X, "dim": 1}, 2),
    ("aten.sort.stable", {"self": X, "stable": True, "dim": -1, "descending": True}, 2),
    ("aten.var_mean.correction", {"self": X, "dim": (1,), "correction": 0}, 2),
    ("aten.var_mean.dim", {"self": X, "dim": (1, 2), "unbiased": True, "keepdim": True}, 2),
    ("aten.std_mean.correction", {"self": X, "dim": (-1,), "correction": 1}, 2),
    ("aten.std_mean.dim", {"self": X, "dim": (1,)}, 2),
    ("aten.tensor_split.sections", {"self": X, "sections": 4, "dim": -1}, 4),
    ("aten.split.sizes", {"self": X, "split_size": (2, 4), "dim": 2}, 2),
    ("aten.adaptive_max_pool1d.default", {"self": WAVE, "output_size": (1,)}, 2),
    ("aten.adaptive_max_pool2d.default", {"self": IMAGE, "output_size": (3, 4)}, 2),
    ("aten.adaptive_max_pool3d.default", {"self": CUBE, "output_size": (5, 3, 7)}, 2),
]
# What some cases begin with.
BEFORE = {
    "heads1": Node("aten.slice.Tensor", {"self": Y, "dim": 2, "start": 1, "end": 4}, ("heads1",)),
    "first_row": Node("aten.select.int", {"self": Y, "dim": 1, "index": 0}, ("first_row",)),
    "no_row": Node("aten.slice.Tensor", {"self": Y, "dim": 1, "start": 3, "end": 3}, ("no_row",)),
    "none": Node("aten.slice.Tensor", {"self": Y, "dim": 0, "start": 2, "end": 1}, ("none",)),
    "first": Node("aten.slice.Tensor", {"self": Y, "dim": 0, "start": 1}, ("first",)),
    "three_rows": Node("aten.slice.Tensor", {"self": T("plane"), "dim": 0, "start": 1}, ("three_rows",)),
    "above_one": Node("aten.add.Scalar", {"self": V("positive"), "other": 1.0}, ("above_one",)),
    "heads0": Node("aten.slice.Tensor", {"self": X, "dim": 2, "start": 0, "end": 4}, ("heads0",)),
    "far": Node("aten.sub.Scalar", {"self": WHOLE, "other": 4}, ("far",)),
    "above": Node("aten.gt.Scalar", {"self": X, "other": 0}, ("above",)),
    "small": Node("aten.tanh.default", {"self": X}, ("small",)),
    "holes": Node("aten.div.Tensor", {"self": V("above"), "other": MASK}, ("holes",)),
    "number": Node("aten.mean.default", {"self": X}, ("number",)),
    "heads": Node("aten.unflatten.int", {"self": X, "dim": -1, "sizes": (2, 3)}, ("heads",)),
    "causal": Node("aten.ge.Scalar", {"self": T("square4"), "other": 0.5}, ("causal",)),
    "places": Node("aten.unsqueeze.default", {"self": V("mod"), "dim": 1}, ("places",)),
    "mod": Node("aten.clamp_max.default", {"self": WHOLE, "max": 3}, ("mod",)),
    "pair": Node("aten.select.int", {"self": V("mod"), "dim": 0, "index": 0}, ("pair",)),
    "line": Node("aten.select.int", {"self": V("mod"), "dim": 0, "index": 1}, ("line",)),
    "flat6": Node("aten.reshape.default", {"self": X, "shape": (-1, 6)}, ("flat6",)),
    "turned": Node("aten.transpose.int", {"self": Y, "dim0": 1, "dim1": 2}, ("turned",)),
    "one_image": Node("aten.select.int", {"self": IMAGE, "dim": 0, "index": 0}, ("one_image",)),
    "batch": Node("aten.sym_size.int", {"self": X, "dim": 0}, ("batch",)),
    "thin": Node("aten.reshape.default", {"self": X, "shape": (-1, 1, 4, 6)}, ("thin",)),
    "positive": Node("aten.add.Scalar", {"self": V("size"), "other": 0.1}, ("positive",)),
    "size": Node("aten.abs.default", {"self": X}, ("size",)),
    "row_of_i": Node("aten.select.int", {"self": V("long_i"), "dim": 0, "index": 0}, ("row_of_i",)),
    "float_i": Node("aten.to.dtype", {"self": WHOLE, "dtype": Dtype("float32")}, ("float_i",)),
    "long_i": Node("aten.cat.default", {"tensors": (WHOLE, WHOLE), "dim": 1}, ("long_i",)),
}
INTEGERS = ("int.add", "int.sub", "int.mul", "int.floordiv", "int.mod", "int.max", "int.min", "int.neg")
ALL_CASES = [(name, arguments, 0) for name, arguments in CASES + MORE] + SEVERAL


def network_of(node: Node, outputs: tuple[str, ...]) -> Network:
    """A network of one operator, of what it needs before it and of every tensor."""
    nodes: list[Node] = []

    def add(one: Node) -> None:
        for argument in one.arguments.values():
            for item in argument if isinstance(argument, tuple) else (argument,):
                if isinstance(item, ValueRef) and item.name in BEFORE and BEFORE[item.name] not in nodes:
                    add(BEFORE[item.name])
        nodes.append(one)

    add(node)
    random = np.random.default_rng(3)
    given = [argument for one in nodes for argument in one.arguments.values()]
    given += [item for argument in given if isinstance(argument, tuple) for item in argument]
    used = {item.name for item in given if isinstance(item, TensorRef)}
    shapes = {name: shape for name, shape in SHAPES.items() if name in used} | {"spare": (5, 6)}
    tensors = {name: random.random(shape, np.float32) + 0.2 for name, shape in shapes.items()}
    infos = {name: TensorInfo("parameter", "float32", shape) for name, shape in shapes.items()}
    spare = Node("aten.linear.default", {"input": X, "weight": T("spare")}, ("unused",))
    return Network(Graph(INPUTS, infos, (*nodes, spare), tuple(map(ValueRef, outputs))), tensors)


def feed(batch: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(batch)
    made = {}
    for item in INPUTS:
        shape = (batch, *item.shape[1:])
        if item.dtype == "float32":
            made[item.name] = random.standard_normal(shape).astype(np.float32)
        else:
            made[item.name] = random.integers(*(0, 2) if item.dtype == "bool" else (1, 9), shape).astype(item.dtype)
    return made


def check(network, write_network, run_onnx, tmp_path) -> onnx.ModelProto:
    """Both runtimes say the same, at two lengths of the batch; activations of two-bit products are int8."""
    path = write_network(network, tmp_path / "m.sterna")
    with Artifact.open(path) as artifact:
        model = build_onnx(artifact)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, tmp_path / "m.onnx")
    module = load_module(path)
    two_bit = any(node.op_type == "DequantizeLinear" for node in model.graph.node if "spare" not in node.input[0])
    for batch in (2, 5):
        inputs = feed(batch)
        found = run_onnx(tmp_path / "m.onnx", inputs)
        with torch.no_grad():
            wanted = module(*(torch.from_numpy(array) for array in inputs.values()))
        for one, other in zip(found, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
            expected = other.detach().numpy()
            assert (one.dtype, one.shape) == (expected.dtype, expected.shape)
            tolerance = 0.05 * np.abs(expected).max() if two_bit else 2e-5
            np.testing.assert_allclose(one, expected, rtol=2e-5, atol=tolerance)
    return model


@pytest.mark.parametrize(
    ("operator", "arguments", "several"), ALL_CASES, ids=[f"{c[0]}-{n}" for n, c in enumerate(ALL_CASES)]
)
def test_a_rule_says_what_torch_says(operator, arguments, several, write_network, run_onnx, tmp_path):
    made = tuple(f"made{index}" for index in range(several or 1))
    node = Node(operator, arguments, made, unpacked=several > 0)
    told = made[:1] if "max_pool" in operator and several else made
    check(network_of(node, told), write_network, run_onnx, tmp_path)


@pytest.mark.parametrize("operator", INTEGERS)
def test_arithmetic_on_sizes(operator, write_network, run_onnx, tmp_path):
    """n = a size of the batch, and another size from it by which the input is repeated."""
    arguments = {"a": V("batch")} if operator == "int.neg" else {"a": V("batch"), "b": 2}
    count = Node(operator, arguments, ("count",))
    back = Node("int.neg", {"a": V("count")}, ("times",)) if operator == "int.neg" else None
    times = "times" if back else "count"
    repeat = Node("aten.repeat.default", {"self": X, "repeats": (V(times), 1, 1)}, ("made",))
    network = network_of(repeat, ("made",))
    extra = (BEFORE["batch"], count, *([back] if back else []))
    graph = Graph(network.graph.inputs, network.graph.tensors, (*extra, *network.graph.nodes), network.graph.outputs)
    check(Network(graph, network.tensors), write_network, run_onnx, tmp_path)


def test_the_number_of_elements(write_network, run_onnx, tmp_path):
    count = Node("aten.sym_numel.default", {"self": X}, ("count",))
    rows = Node("int.floordiv", {"a": V("count"), "b": 6}, ("rows",))
    network = network_of(Node("aten.view.default", {"self": X, "size": (V("rows"), 6)}, ("made",)), ("made",))
    graph = Graph(
        network.graph.inputs, network.graph.tensors, (count, rows, *network.graph.nodes), network.graph.outputs
    )
    check(Network(graph, network.tensors), write_network, run_onnx, tmp_path)


def test_every_rule_is_tried():
    elsewhere = {"aten.sym_size.int", "aten.sym_numel.default", *RECURRENT}
    tried = {operator for operator, _, _ in ALL_CASES} | set(INTEGERS) | elsewhere
    assert tried == set(RULES)


def test_every_rule_is_of_an_operator_of_the_allow_list():
    assert RULES.keys() <= OPERATORS.keys()


def test_an_operator_without_a_rule_is_refused_by_name(write_network, tmp_path, monkeypatch):
    path = write_network(network_of(Node("aten.mish.default", {"self": X}, ("y1",)), ("y1",)), tmp_path / "m.sterna")
    monkeypatch.delitem(RULES, "aten.mish.default")
    with Artifact.open(path) as artifact, pytest.raises(ExportUnsupported, match=r"aten\.mish\.default"):
        build_onnx(artifact)


@pytest.mark.parametrize(
    ("operator", "arguments"),
    [
        ("aten.avg_pool2d.default", {"self": IMAGE, "kernel_size": (2, 2), "divisor_override": 3}),
        ("aten.adaptive_max_pool2d.default", {"self": IMAGE, "output_size": (4, 8)}),
        ("aten.chunk.default", {"self": X, "chunks": 2}),
    ],
)
def test_a_use_that_onnx_cannot_say_is_refused(operator, arguments, write_network, tmp_path):
    node = Node(operator, arguments, ("a", "b"), unpacked=True)
    if operator == "aten.avg_pool2d.default":
        node = Node(operator, arguments, ("a",))
    path = write_network(network_of(node, ("a",)), tmp_path / "m.sterna")
    with Artifact.open(path) as artifact, pytest.raises(ExportUnsupported, match=operator) as caught:
        build_onnx(artifact)
    assert caught.value.hint
