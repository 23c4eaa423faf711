"""Sizes that a network computes: they follow the batch, stay sizes while they can, and are data where they must."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.intake.onnx.making import SEQUENCE, ints, node, normal

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
    "sizes as data": [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Cast", ["s"], ["floats"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Gather", ["floats", "six"], ["row6"]),
        helper.make_node("Add", ["x", "row6"], ["moved"]),
        helper.make_node("Gather", ["s", "zero"], ["n"]),
        helper.make_node("Mod", ["whole", "n"], ["left"]),
        helper.make_node("Greater", ["left", "n2"], ["greater"]),
        node("Where", "greater", "moved", "x"),
    ],
    "a fraction of a size": [
        helper.make_node("Shape", ["x"], ["s"], start=0, end=1),
        helper.make_node("Cast", ["s"], ["n"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Div", ["n", "four"], ["fourth"]),
        helper.make_node("Ceil", ["fourth"], ["upper"]),
        helper.make_node("Cast", ["upper"], ["end"], to=onnx.TensorProto.INT64),
        helper.make_node("Sqrt", ["fourth"], ["root"]),
        helper.make_node("Sub", ["root", "upper"], ["below"]),
        helper.make_node("Slice", ["x", "axes", "end", "axes"], ["first"]),
        node("Mul", "first", "below"),
    ],
    "a size divided upwards": [  # -(-n // 4), as Python writes it
        helper.make_node("Shape", ["x"], ["s"], start=0, end=1),
        helper.make_node("Neg", ["s"], ["below"]),
        helper.make_node("Div", ["below", "four4"], ["towards"]),
        helper.make_node("Mod", ["below", "four4"], ["left"]),
        helper.make_node("Less", ["s", "axes"], ["negative"]),
        helper.make_node("Xor", ["negative", "true"], ["rounds"]),
        helper.make_node("Where", ["rounds", "ones1", "axes"], ["more"]),
        helper.make_node("Sub", ["more", "towards"], ["end"]),
        helper.make_node("Min", ["end", "s"], ["least"]),
        helper.make_node("Slice", ["x", "axes", "least", "axes"], ["first"]),
        helper.make_node("Cast", ["left"], ["floats"], to=onnx.TensorProto.FLOAT),
        node("Mul", "first", "floats"),
    ],
    "repetitions by OneHot": [
        helper.make_node("Shape", ["x"], ["s"], start=0, end=1),
        helper.make_node("Concat", ["ones1", "s"], ["times"], axis=0),
        helper.make_node("OneHot", ["ones1", "three3", "times"], ["table"]),
        helper.make_node("Reshape", ["table", "rest"], ["repeats"]),
        node("Tile", "x", "repeats"),
    ],
    "pads turned round": [
        helper.make_node("Shape", ["x"], ["s"], start=0, end=1),
        helper.make_node("Concat", ["s", "ones1", "axes", "axes", "ones1", "s"], ["pairs"], axis=0),
        helper.make_node("Reshape", ["pairs", "pair"], ["table"]),
        helper.make_node("Slice", ["table", "rest", "far", "axes", "rest"], ["turned"]),
        helper.make_node("Transpose", ["turned"], ["columns"]),
        helper.make_node("Reshape", ["columns", "rest"], ["pads"]),
        node("Pad", "x", "pads"),
    ],
    "a table of sizes as data": [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Reshape", ["s", "column"], ["table"]),
        helper.make_node("Cast", ["table"], ["floats"], to=onnx.TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["floats"], ["total"], keepdims=0),
        node("Mul", "x", "total"),
    ],
    "numbers by NonZero": [
        helper.make_node("Shape", ["x"], ["s"], start=0, end=1),
        helper.make_node("ConstantOfShape", ["s"], ["full"], value=numpy_helper.from_array(ints(1))),
        helper.make_node("NonZero", ["full"], ["positions"]),
        helper.make_node("Cast", ["positions"], ["floats"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Reshape", ["floats", "column"], ["bias"]),
        node("Add", "x", "bias"),
    ],
    "a size that bounds data": [
        helper.make_node("Shape", ["x"], ["s"], start=0, end=1),
        helper.make_node("Cast", ["s"], ["floats"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Reshape", ["floats", "none"], ["n"]),
        helper.make_node("Div", ["n", "four"], ["most"]),
        node("Clip", "x", "", "most"),
    ],
    "a size that is put into a shape": [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("ScatterElements", ["s", "ones1", "ones1"], ["wanted"]),
        helper.make_node("ScatterND", ["wanted", "place", "ones1"], ["other"]),
        helper.make_node("Expand", ["row1", "other"], ["wide"]),
        node("Mul", "x", "wide"),
    ],
    "a table that is widened": [
        helper.make_node("Expand", ["ones1", "three"], ["ones3"]),
        helper.make_node("Mul", ["ones3", "numbers"], ["repeats"]),
        node("Tile", "x", "repeats"),
    ],
    "numbers that are known": [
        helper.make_node("Div", ["minus", "seven"], ["third"]),
        helper.make_node("Mod", ["minus", "seven"], ["left"]),
        helper.make_node("Mod", ["minus", "seven"], ["leftC"], fmod=1),
        helper.make_node("Sub", ["third", "left"], ["more"]),
        helper.make_node("Less", ["more", "leftC"], ["less"]),
        helper.make_node("GreaterOrEqual", ["third", "left"], ["greater"]),
        helper.make_node("Xor", ["less", "greater"], ["differ"]),
        helper.make_node("Not", ["differ"], ["same"]),
        helper.make_node("Neg", ["four"], ["minusfour"]),
        helper.make_node("Floor", ["x0"], ["lower"]),
        helper.make_node("Ceil", ["x0"], ["upper"]),
        helper.make_node("Sqrt", ["four"], ["root"]),
        helper.make_node("Where", ["same", "minusfour", "lower"], ["chosen"]),
        helper.make_node("Add", ["chosen", "upper"], ["sum"]),
        helper.make_node("Mul", ["sum", "root"], ["factor"]),
        node("Mul", "x", "factor"),
    ],
    "Constant Split": [
        helper.make_node("Constant", [], ["parts"], value_ints=[1, 4]),
        helper.make_node("Constant", [], ["half"], value_float=0.5),
        helper.make_node("Split", ["x", "parts"], ["a", "b"], axis=1),
        node("Mul", "b", "half"),
    ],
}
TENSORS = {
    "row1": normal(1, 1, 1), "place": np.array([[-1]]), "numbers": ints(1, 2, 3), "seven": ints(4),
    "x0": np.float32([-1.5]), "none": ints(), "zero": np.int64(0), "one": np.int64(1), "thirty": np.int64(30),
    "axes": ints(0), "rest": ints(-1), "minus": ints(-1), "column": ints(-1, 1, 1), "three": ints(3),
    "row": normal(1, 5, 6), "six": ints(0, 1, 2, 0, 0, 1), "whole": ints(5, 3, 2, 1, 0, 9), "n2": np.int64(1),
    "four": np.float32(4), "four4": np.int64(4), "ones1": ints(1), "three3": ints(3), "pair": ints(-1, 2),
    "far": ints(-(2**63) + 1), "true": np.array(True),
}  # fmt: skip


@pytest.mark.parametrize("case", SHAPES_IN_THE_NETWORK)
def test_shapes_that_the_network_computes_follow_the_batch(compare, case):
    nodes = SHAPES_IN_THE_NETWORK[case]
    used = {name for one in nodes for name in one.input}
    network = compare(nodes, {"x": SEQUENCE}, {name: array for name, array in TENSORS.items() if name in used})
    assert "as data" in case or not any(info.dtype == "int64" for info in network.graph.tensors.values())
