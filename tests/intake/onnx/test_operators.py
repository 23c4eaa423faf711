"""Every ONNX operator that is read, against onnxruntime, on two batch sizes."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from sterna.errors import OperatorUnsupported
from sterna.intake import read_model
from sterna.intake.onnx.operators import CONVERTERS

RANDOM = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def node(operator: str, *inputs: str, outputs: int = 1, **attributes) -> onnx.NodeProto:
    return helper.make_node(operator, inputs, [f"y{at}" for at in range(outputs)], **attributes)


IMAGE, WIDE, ROWS, SEQUENCE = normal(2, 4, 9, 8), normal(2, 3, 5), normal(2, 6), normal(2, 5, 6)
POSITIVE = np.abs(ROWS) + np.float32(0.5)
FILTERS, CUBES = normal(6, 4, 3, 3), normal(2, 2, 5, 4, 5)

CASES = {
    # operator: (node, inputs, tensors, opset)
    "Abs": (node("Abs", "x"), {"x": ROWS}),
    "Add": (node("Add", "x", "b"), {"x": ROWS}, {"b": normal(6)}),
    "Add-number": (node("Add", "b", "x"), {"x": ROWS}, {"b": np.float32(2)}),
    "And": (node("And", "x", "m"), {"x": ROWS > 0}, {"m": np.array([[True, False] * 3])}),
    "ArgMax": (node("ArgMax", "x", axis=1, keepdims=0), {"x": ROWS}),
    "ArgMin": (node("ArgMin", "x", axis=-1), {"x": WIDE}),
    "AveragePool": (node("AveragePool", "x", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 0]), {"x": IMAGE}),
    "AveragePool-ceil": (node("AveragePool", "x", kernel_shape=[2, 3], strides=[2, 2], ceil_mode=1), {"x": IMAGE}),
    "AveragePool-pads": (
        node("AveragePool", "x", kernel_shape=[3, 3], pads=[0, 1, 1, 0], count_include_pad=1), {"x": IMAGE},
    ),
    "AveragePool-1d": (node("AveragePool", "x", kernel_shape=[2]), {"x": WIDE}),
    "BatchNormalization": (
        node("BatchNormalization", "x", "s", "b", "m", "v", epsilon=0.01),
        {"x": IMAGE}, {"s": normal(4), "b": normal(4), "m": normal(4), "v": np.abs(normal(4)) + np.float32(1)},
    ),
    "BatchNormalization-7": (
        node("BatchNormalization", "x", "s", "b", "m", "v", spatial=1),
        {"x": ROWS}, {"s": normal(6), "b": normal(6), "m": normal(6), "v": np.abs(normal(6))}, 8,
    ),
    "Cast": (node("Cast", "x", to=onnx.TensorProto.INT64), {"x": ROWS * 3}),
    "CastLike": (node("CastLike", "x", "t"), {"x": ROWS}, {"t": np.float64(1)}),
    "Ceil": (node("Ceil", "x"), {"x": ROWS}),
    "Celu": (node("Celu", "x", alpha=0.7), {"x": ROWS}),
    "Clip": (node("Clip", "x", "low", "high"), {"x": ROWS}, {"low": np.float32(-0.5), "high": np.float32(0.4)}),
    "Clip-low": (node("Clip", "x", "low"), {"x": ROWS}, {"low": np.float32(-0.5)}),
    "Clip-6": (node("Clip", "x", min=0.0, max=6.0), {"x": ROWS}, {}, 9),
    "Concat": (node("Concat", "x", "x", "c", axis=-1), {"x": ROWS[:1]}, {"c": normal(1, 2)}, 18, False),
    "Conv": (
        node("Conv", "x", "w", "b", pads=[1, 1, 1, 1], strides=[2, 1]), {"x": IMAGE}, {"w": FILTERS, "b": normal(6)},
    ),
    "Conv-uneven": (node("Conv", "x", "w", pads=[0, 1, 2, 1], dilations=[2, 1]), {"x": IMAGE}, {"w": FILTERS}),
    "Conv-grouped": (node("Conv", "x", "w", group=2), {"x": IMAGE}, {"w": normal(6, 2, 3, 3)}),
    "Conv-same": (
        node("Conv", "x", "w", auto_pad="SAME_UPPER", strides=[2, 2]), {"x": IMAGE}, {"w": normal(2, 4, 2, 3)},
    ),
    "Conv-same-lower": (node("Conv", "x", "w", auto_pad="SAME_LOWER"), {"x": IMAGE}, {"w": normal(2, 4, 2, 4)}),
    "Conv-valid": (node("Conv", "x", "w", auto_pad="VALID"), {"x": IMAGE}, {"w": FILTERS}),
    "Conv-1d": (node("Conv", "x", "w", kernel_shape=[2]), {"x": WIDE}, {"w": normal(4, 3, 2)}),
    "Conv-3d": (node("Conv", "x", "w"), {"x": CUBES}, {"w": normal(3, 2, 2, 2, 2)}),
    "ConvTranspose": (
        node("ConvTranspose", "x", "w", "b", strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 0]),
        {"x": IMAGE}, {"w": normal(4, 3, 3, 3), "b": normal(3)},
    ),
    "ConvTranspose-1d": (node("ConvTranspose", "x", "w", group=3), {"x": WIDE}, {"w": normal(3, 2, 3)}),
    "Cos": (node("Cos", "x"), {"x": ROWS}),
    "CumSum": (node("CumSum", "x", "axis"), {"x": ROWS}, {"axis": np.int64(1)}),
    "DepthToSpace": (node("DepthToSpace", "x", blocksize=2), {"x": IMAGE}),
    "DepthToSpace-crd": (node("DepthToSpace", "x", blocksize=2, mode="CRD"), {"x": normal(1, 8, 2, 3)}),
    "Div": (node("Div", "x", "d"), {"x": ROWS}, {"d": np.abs(normal(6)) + np.float32(1)}),
    "Div-number": (node("Div", "one", "x"), {"x": POSITIVE}, {"one": np.float32(1)}),
    "Dropout": (node("Dropout", "x", "p"), {"x": ROWS}, {"p": np.float32(0.3)}),
    "Dropout-10": (node("Dropout", "x", ratio=0.3), {"x": ROWS}, {}, 10),
    "Einsum": (node("Einsum", "x", "w", equation="bti,hio->bhto"), {"x": SEQUENCE}, {"w": normal(2, 6, 3)}),
    "Elu": (node("Elu", "x", alpha=0.5), {"x": ROWS}),
    "Equal": (node("Equal", "x", "t"), {"x": np.round(ROWS)}, {"t": np.float32(0)}),
    "Erf": (node("Erf", "x"), {"x": ROWS}),
    "Exp": (node("Exp", "x"), {"x": ROWS}),
    "Expand": (node("Expand", "x", "s"), {"x": normal(2, 1, 5)}, {"s": ints(3, 1)}),
    "Expand-more": (node("Expand", "x", "s"), {"x": ROWS}, {"s": ints(3, 1, 6)}),
    "Flatten": (node("Flatten", "x"), {"x": IMAGE}),
    "Flatten-2": (node("Flatten", "x", axis=2), {"x": IMAGE}),
    "Flatten-0": (node("Flatten", "x", axis=0), {"x": WIDE}),
    "Flatten-negative": (node("Flatten", "x", axis=-1), {"x": WIDE}),
    "Floor": (node("Floor", "x"), {"x": ROWS}),
    "Gather": (node("Gather", "e", "x"), {"x": np.array([[1, 2], [0, 3]])}, {"e": normal(4, 3)}),
    "Gather-one": (node("Gather", "x", "i", axis=1), {"x": SEQUENCE}, {"i": np.int64(-1)}),
    "Gather-some": (node("Gather", "x", "i", axis=2), {"x": SEQUENCE}, {"i": np.array([[0, 5], [-1, 2]])}),
    "GatherElements": (
        node("GatherElements", "x", "i", axis=1), {"x": ROWS, "i": np.array([[0, 2, 1], [5, 5, 0]])},
    ),
    "Gelu": (node("Gelu", "x"), {"x": ROWS}, {}, 20),
    "Gelu-tanh": (node("Gelu", "x", approximate="tanh"), {"x": ROWS}, {}, 20),
    "Gemm": (node("Gemm", "x", "w", "b", transB=1), {"x": ROWS}, {"w": normal(3, 6), "b": normal(3)}),
    "Gemm-plain": (node("Gemm", "x", "w"), {"x": ROWS}, {"w": normal(6, 3)}),
    "Gemm-scaled": (
        node("Gemm", "x", "w", "b", alpha=0.5, beta=2.0, transB=1), {"x": ROWS}, {"w": normal(3, 6), "b": normal(1, 3)},
    ),
    "Gemm-half": (node("Gemm", "x", "w", alpha=0.5, transA=1), {"x": ROWS}, {"w": normal(2, 3)}, 18, False),
    "GlobalAveragePool": (node("GlobalAveragePool", "x"), {"x": IMAGE}),
    "GlobalMaxPool": (node("GlobalMaxPool", "x"), {"x": CUBES}),
    "Greater": (node("Greater", "x", "t"), {"x": ROWS}, {"t": np.float32(0)}),
    "GreaterOrEqual": (node("GreaterOrEqual", "x", "t"), {"x": ROWS}, {"t": ROWS[:1]}),
    "GroupNormalization": (
        node("GroupNormalization", "x", "s", "b", num_groups=2), {"x": IMAGE}, {"s": normal(4), "b": normal(4)}, 21,
    ),
    "HardSigmoid": (node("HardSigmoid", "x"), {"x": 3 * ROWS}),
    "HardSigmoid-sixth": (node("HardSigmoid", "x", alpha=1 / 6, beta=0.5), {"x": 3 * ROWS}),
    "HardSwish": (node("HardSwish", "x"), {"x": 3 * ROWS}),
    "Identity": ([helper.make_node("Identity", ["x"], ["i"]), node("Relu", "i")], {"x": ROWS}),
    "InstanceNormalization": (
        node("InstanceNormalization", "x", "s", "b"), {"x": IMAGE}, {"s": normal(4), "b": normal(4)},
    ),
    "IsNaN": (node("IsNaN", "x"), {"x": np.where(ROWS > 0, ROWS, np.float32("nan"))}),
    "LayerNormalization": (node("LayerNormalization", "x", "s", "b"), {"x": WIDE}, {"s": normal(5), "b": normal(5)}),
    "LayerNormalization-2": (node("LayerNormalization", "x", "s", axis=1), {"x": WIDE}, {"s": normal(3, 5)}),
    "LeakyRelu": (node("LeakyRelu", "x", alpha=0.2), {"x": ROWS}),
    "Less": (node("Less", "x", "t"), {"x": ROWS}, {"t": np.float32(0)}),
    "LessOrEqual": (node("LessOrEqual", "x", "t"), {"x": ROWS}, {"t": np.float32(0)}),
    "Log": (node("Log", "x"), {"x": POSITIVE}),
    "LogSoftmax": (node("LogSoftmax", "x"), {"x": WIDE}),
    "LpNormalization": (node("LpNormalization", "x", axis=1, p=2), {"x": WIDE}),
    "MatMul": (node("MatMul", "x", "w"), {"x": SEQUENCE}, {"w": normal(6, 4)}),
    "Max": (node("Max", "x", "t", "u"), {"x": ROWS}, {"t": normal(6), "u": np.float32(0)}),
    "MaxPool": (node("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), {"x": IMAGE}),
    "MaxPool-uneven": (node("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 1, 1]), {"x": IMAGE}),
    "MaxPool-same": (node("MaxPool", "x", kernel_shape=[2, 3], auto_pad="SAME_UPPER"), {"x": IMAGE}),
    "MaxPool-1d": (node("MaxPool", "x", kernel_shape=[2], ceil_mode=1, strides=[2]), {"x": WIDE}),
    "Mean": (node("Mean", "x", "t"), {"x": ROWS}, {"t": normal(6)}),
    "Min": (node("Min", "x", "t"), {"x": ROWS}, {"t": np.float32(0.3)}),
    "Mish": (node("Mish", "x"), {"x": ROWS}),
    "Mul": (node("Mul", "x", "x"), {"x": ROWS}),
    "Neg": (node("Neg", "x"), {"x": ROWS}),
    "Not": (node("Not", "x"), {"x": ROWS > 0}),
    "Or": (node("Or", "x", "m"), {"x": ROWS > 0}, {"m": np.array([True, False] * 3)}),
    "PRelu": (node("PRelu", "x", "s"), {"x": IMAGE}, {"s": normal(4, 1, 1)}),
    "PRelu-one": (node("PRelu", "x", "s"), {"x": ROWS}, {"s": normal(1)}),
    "Pad": (node("Pad", "x", "p", "v"), {"x": WIDE}, {"p": ints(0, 1, 2, 0, 0, 1), "v": np.float32(3)}),
    "Pad-edge": (node("Pad", "x", "p", mode="edge"), {"x": WIDE}, {"p": ints(0, 0, 2, 0, 0, 1)}),
    "Pad-reflect": (node("Pad", "x", "p", mode="reflect"), {"x": IMAGE}, {"p": ints(0, 0, 1, 2, 0, 0, 0, 1)}),
    "Pad-axes": (node("Pad", "x", "p", "", "a"), {"x": WIDE}, {"p": ints(1, 2), "a": ints(-1)}),
    "Pad-10": (node("Pad", "x", pads=[0, 0, 1, 0, 0, 2], value=1.5), {"x": WIDE}, {}, 10),
    "Pow": (node("Pow", "x", "e"), {"x": POSITIVE}, {"e": np.float32(1.5)}),
    "Pow-tensors": (node("Pow", "x", "e"), {"x": POSITIVE}, {"e": normal(6)}),
    "RMSNormalization": (node("RMSNormalization", "x", "s"), {"x": WIDE}, {"s": normal(5)}, 23),
    "Reciprocal": (node("Reciprocal", "x"), {"x": POSITIVE}),
    "ReduceL1": (node("ReduceL1", "x", "a"), {"x": WIDE}, {"a": ints(1)}),
    "ReduceL2": (node("ReduceL2", "x", "a", keepdims=0), {"x": WIDE}, {"a": ints(-1, 1)}),
    "ReduceLogSumExp": (node("ReduceLogSumExp", "x", "a"), {"x": WIDE}, {"a": ints(2)}),
    "ReduceMax": (node("ReduceMax", "x", "a"), {"x": WIDE}, {"a": ints(2)}),
    "ReduceMean": (node("ReduceMean", "x", "a"), {"x": WIDE}, {"a": ints(-1)}),
    "ReduceMean-13": (node("ReduceMean", "x", axes=[1, 2], keepdims=0), {"x": WIDE}, {}, 13),
    "ReduceMean-all": (node("ReduceMean", "x"), {"x": WIDE}),
    "ReduceMin": (node("ReduceMin", "x", "a"), {"x": WIDE}, {"a": ints(1)}),
    "ReduceSum": (node("ReduceSum", "x", "a", keepdims=0), {"x": WIDE}, {"a": ints(1)}),
    "ReduceSum-noop": (node("ReduceSum", "x", noop_with_empty_axes=1), {"x": WIDE}),
    "ReduceSumSquare": (node("ReduceSumSquare", "x", "a"), {"x": WIDE}, {"a": ints(1)}),
    "Relu": (node("Relu", "x"), {"x": ROWS}),
    "Reshape": (node("Reshape", "x", "s"), {"x": SEQUENCE}, {"s": ints(0, 3, -1)}),
    "Resize": (
        node("Resize", "x", "", "f", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        {"x": IMAGE}, {"f": np.array([1, 1, 2, 3], np.float32)},
    ),
    "Resize-half": (node("Resize", "x", "", "f"), {"x": IMAGE}, {"f": np.array([1, 1, 3, 2], np.float32)}),
    "Resize-linear": (
        node("Resize", "x", "", "", "s", mode="linear"), {"x": IMAGE[:1]}, {"s": ints(1, 4, 13, 16)}, 18, False,
    ),
    "Resize-corners": (
        node("Resize", "x", "", "f", mode="linear", coordinate_transformation_mode="align_corners"),
        {"x": IMAGE}, {"f": np.array([1, 1, 2, 2], np.float32)},
    ),
    "Resize-cubic": (
        node("Resize", "x", "", "f", mode="cubic", cubic_coeff_a=-0.75), {"x": IMAGE},
        {"f": np.array([1, 1, 2, 2], np.float32)},
    ),
    "Round": (node("Round", "x"), {"x": 3 * ROWS}),
    "Selu": (node("Selu", "x"), {"x": ROWS}),
    "Sigmoid": (node("Sigmoid", "x"), {"x": ROWS}),
    "Sign": (node("Sign", "x"), {"x": ROWS}),
    "Sin": (node("Sin", "x"), {"x": ROWS}),
    "Slice": (
        node("Slice", "x", "s", "e", "a", "t"), {"x": SEQUENCE},
        {"s": ints(1, -4), "e": ints(2**62, -1), "a": ints(1, 2), "t": ints(2, 1)},
    ),
    "Slice-9": (node("Slice", "x", starts=[1], ends=[3], axes=[1]), {"x": SEQUENCE}, {}, 9),
    "Slice-backwards": (
        node("Slice", "x", "s", "e", "a", "t"), {"x": SEQUENCE},
        {"s": ints(-1), "e": ints(-(2**62)), "a": ints(1), "t": ints(-1)},
    ),
    "Softmax": (node("Softmax", "x", axis=1), {"x": WIDE}),
    "Softmax-11": (node("Softmax", "x", axis=1), {"x": WIDE}, {}, 11),
    "Softplus": (node("Softplus", "x"), {"x": ROWS}),
    "Softsign": (node("Softsign", "x"), {"x": ROWS}),
    "SpaceToDepth": (node("SpaceToDepth", "x", blocksize=2), {"x": normal(2, 3, 4, 6)}),
    "Split": (node("Split", "x", "s", axis=1, outputs=2), {"x": ROWS}, {"s": ints(2, 4)}),
    "Split-even": (node("Split", "x", axis=-1, outputs=3, num_outputs=3), {"x": WIDE}),
    "Split-11": (node("Split", "x", axis=1, outputs=2, split=[1, 5]), {"x": ROWS}, {}, 11),
    "Sqrt": (node("Sqrt", "x"), {"x": POSITIVE}),
    "Squeeze": (node("Squeeze", "x", "a"), {"x": normal(2, 1, 3, 1)}, {"a": ints(1, -1)}),
    "Squeeze-11": (node("Squeeze", "x", axes=[1]), {"x": normal(2, 1, 3)}, {}, 11),
    "Sub": (node("Sub", "c", "x"), {"x": ROWS}, {"c": np.float32(1)}),
    "Sum": (node("Sum", "x", "t", "x"), {"x": ROWS}, {"t": normal(6)}),
    "Tanh": (node("Tanh", "x"), {"x": ROWS}),
    "Tile": (node("Tile", "x", "r"), {"x": ROWS}, {"r": ints(1, 3)}),
    "Transpose": (node("Transpose", "x", perm=[0, 2, 1]), {"x": SEQUENCE}),
    "Transpose-all": (node("Transpose", "x"), {"x": SEQUENCE}, {}, 18, False),
    "Trilu": (node("Trilu", "x", "k", upper=0), {"x": SEQUENCE}, {"k": np.int64(1)}),
    "Unsqueeze": (node("Unsqueeze", "x", "a"), {"x": ROWS}, {"a": ints(-1, 1)}),
    "Unsqueeze-11": (node("Unsqueeze", "x", axes=[1]), {"x": ROWS}, {}, 11),
    "Upsample": (
        node("Upsample", "x", "f", mode="nearest"), {"x": IMAGE}, {"f": np.array([1, 1, 2, 2], np.float32)}, 9,
    ),
    "Where": (node("Where", "m", "x", "f"), {"m": ROWS > 0, "x": ROWS}, {"f": np.float32(-1)}),
}  # fmt: skip


def recurrent(operator: str, gates: int, *, direction: str = "forward", state: bool = False, **attributes):
    directions, hidden = 2 if direction == "bidirectional" else 1, 3
    tensors = {
        "w": normal(directions, gates * hidden, 6), "r": normal(directions, gates * hidden, hidden),
        "b": normal(directions, 2 * gates * hidden),
    }  # fmt: skip
    names = ["x", "w", "r", "b"]
    if state:
        tensors |= {"h": normal(directions, 5, hidden), "c": normal(directions, 5, hidden)}
        names += ["", "h", *(["c"] if operator == "LSTM" else [])]
    made = node(
        operator, *names, outputs=3 if operator == "LSTM" else 2, direction=direction, hidden_size=hidden, **attributes
    )
    return made, {"x": SEQUENCE}, tensors  # (steps, batch, features): the number of steps is what differs


CASES |= {
    "LSTM": recurrent("LSTM", 4),
    "LSTM-state": recurrent("LSTM", 4, direction="bidirectional", state=True),
    "LSTM-reverse": recurrent("LSTM", 4, direction="reverse"),
    "GRU": recurrent("GRU", 3, direction="bidirectional", linear_before_reset=1),
    "GRU-state": recurrent("GRU", 3, direction="reverse", linear_before_reset=1, state=True),
    "RNN": recurrent("RNN", 1, direction="bidirectional"),
    "RNN-relu": recurrent("RNN", 1, activations=["Relu"]),
}

SHAPES_IN_THE_NETWORK = {
    "Shape Gather Concat": [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"]),
        helper.make_node("Unsqueeze", ["n", "axes"], ["n1"]),
        helper.make_node("Concat", ["n1", "rest"], ["wanted"], axis=0),
        node("Reshape", "x", "wanted"),
    ],
    "Size Div Range": [
        helper.make_node("Size", ["x"], ["total"]),
        helper.make_node("Div", ["total", "thirty"], ["n"]),
        helper.make_node("Range", ["zero", "n", "one"], ["positions"]),
        helper.make_node("Cast", ["positions"], ["floats"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Reshape", ["floats", "column"], ["bias"]),
        node("Add", "x", "bias"),
    ],
    "Shape Slice ReduceProd ConstantOfShape": [
        helper.make_node("Shape", ["x"], ["s"], start=0, end=2),
        helper.make_node("ReduceProd", ["s"], ["rows"], keepdims=1),
        helper.make_node("Concat", ["rows", "minus"], ["wanted"], axis=0),
        helper.make_node("Reshape", ["x", "wanted"], ["flat"]),
        helper.make_node("Shape", ["flat"], ["s2"]),
        helper.make_node(
            "ConstantOfShape", ["s2"], ["half"], value=numpy_helper.from_array(np.array([0.5], np.float32))
        ),
        node("Mul", "flat", "half"),
    ],
    "Expand by Equal Where": [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("ConstantOfShape", ["three"], ["ones"], value=numpy_helper.from_array(ints(1))),
        helper.make_node("Mul", ["ones", "minus"], ["minuses"]),
        helper.make_node("Equal", ["s", "minuses"], ["open"]),
        helper.make_node("Where", ["open", "ones", "s"], ["wanted"]),
        node("Expand", "row", "wanted"),
    ],
    "Constant Split": [
        helper.make_node("Constant", [], ["parts"], value_ints=[1, 4]),
        helper.make_node("Constant", [], ["half"], value_float=0.5),
        helper.make_node("Split", ["x", "parts"], ["a", "b"], axis=1),
        node("Mul", "b", "half"),
    ],
}
TENSORS = {
    "zero": np.int64(0), "one": np.int64(1), "thirty": np.int64(30), "axes": ints(0), "rest": ints(-1),
    "minus": ints(-1), "column": ints(-1, 1, 1), "three": ints(3), "row": normal(1, 5, 6),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_an_operator_does_what_onnxruntime_does(compare, case):
    made, inputs, tensors, opset, dynamic = (*CASES[case], *({}, 18, True)[len(CASES[case]) - 2 :])
    compare(made, inputs, tensors, opset=opset, dynamic=dynamic)


@pytest.mark.parametrize("case", SHAPES_IN_THE_NETWORK)
def test_shapes_that_the_network_computes_follow_the_batch(compare, case):
    nodes = SHAPES_IN_THE_NETWORK[case]
    used = {name for one in nodes for name in one.input}
    network = compare(nodes, {"x": SEQUENCE}, {name: array for name, array in TENSORS.items() if name in used})
    assert not any(info.dtype == "int64" for info in network.graph.tensors.values())


def test_gates_that_the_network_puts_into_order_are_the_weights_of_the_layer(compare):
    """As PyTorch's exporter writes an LSTM cell: torch's gates i f g o are cut and joined as ONNX's i o f g."""
    numbers = {"zero": ints(0), **{f"at{at}": ints(4 * at) for at in range(5)}}
    tensors = {"w": normal(16, 6), "r": normal(16, 4), "b": normal(16), "rb": normal(16)}
    nodes = [
        part
        for name in tensors
        for part in (
            helper.make_node("Slice", [name, "at0", "at1", "zero"], [f"{name}_i"]),
            helper.make_node("Slice", [name, "at3", "at4", "zero"], [f"{name}_o"]),
            helper.make_node("Slice", [name, "at1", "at3", "zero"], [f"{name}_fg"]),
            helper.make_node("Concat", [f"{name}_i", f"{name}_o", f"{name}_fg"], [f"{name}_all"], axis=0),
        )
    ]
    nodes.append(helper.make_node("Concat", ["b_all", "rb_all"], ["both"], axis=0))
    wide = {"w_all": "W", "r_all": "R", "both": "B"}
    nodes += [helper.make_node("Unsqueeze", [name, "zero"], [after]) for name, after in wide.items()]
    nodes.append(node("LSTM", "x", *wide.values(), outputs=3, hidden_size=4))
    network = compare(nodes, {"x": SEQUENCE}, {**tensors, **numbers})
    shapes = sorted(info.shape for info in network.graph.tensors.values() if info.kind == "parameter")
    assert shapes == [(16,), (16,), (16, 4), (16, 6)]


def test_every_operator_is_tried():
    tried = {case.partition("-")[0] for case in CASES}
    tried |= {one.op_type for nodes in SHAPES_IN_THE_NETWORK.values() for one in nodes}
    assert tried == set(CONVERTERS)


@pytest.mark.parametrize(
    ("made", "inputs", "tensors", "why"),
    [
        (node("GRU", "x", "w", "r", hidden_size=3), {"x": SEQUENCE}, {"w": normal(1, 9, 6), "r": normal(1, 9, 3)},
         "reset"),
        (node("Resize", "x", "", "f", mode="linear", coordinate_transformation_mode="asymmetric"), {"x": IMAGE},
         {"f": np.array([1, 1, 2, 2], np.float32)}, "asymmetric"),
        (node("AveragePool", "x", kernel_shape=[3, 3], pads=[0, 1, 1, 0]), {"x": IMAGE}, {}, "pads"),
        (node("MaxPool", "x", kernel_shape=[2, 2], outputs=2), {"x": IMAGE}, {}, "y1"),
        (node("Div", "x", "d"), {"x": ints(4, 6)}, {"d": ints(2, 3)}, "whole numbers"),
        (node("Relu", "x", flavour=3), {"x": ROWS}, {}, "flavour"),
        (node("Slice", "x", "s", "e", "a", "t"), {"x": SEQUENCE},
         {"s": ints(4), "e": ints(0), "a": ints(1), "t": ints(-2)}, "backwards"),
    ],
)  # fmt: skip
def test_what_torch_has_not_is_refused_with_its_reason(write, made, inputs, tensors, why):
    with pytest.raises(OperatorUnsupported, match=why):
        read_model(write([made], inputs, tensors))
