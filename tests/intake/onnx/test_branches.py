"""Conditions that are known when a file is read, against onnxruntime; those that are not known are refused."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from sterna.errors import InputError, ModelCorrupt, ModelTooLarge, OperatorUnsupported
from sterna.intake import read_model
from tests.intake.onnx.making import SEQUENCE, ints, node, normal


def branch(*nodes, output="r", tensors=None):
    stored = [numpy_helper.from_array(array, name) for name, array in (tensors or {}).items()]
    return helper.make_graph(nodes, "branch", [], [helper.make_empty_tensor_value_info(output)], stored)


def condition(name, then, other, output="y0"):
    return helper.make_node("If", [name], [output], then_branch=then, else_branch=other)


def added(name="r"):
    return branch(helper.make_node("Add", ["x", "w"], [name]), output=name, tensors={"w": normal(6)})


def halved(name="r"):
    return branch(helper.make_node("Mul", ["x", "factor"], [name]), output=name)


HALF, YES = {"factor": np.float32(0.5)}, {"yes": np.array(True)}


@pytest.mark.parametrize("chosen", [True, False])
def test_a_constant_chooses_a_branch(compare, chosen):
    network = compare(condition("c", added(), halved()), {"x": SEQUENCE}, HALF | {"c": np.array(chosen)})
    assert [one.operator for one in network.graph.nodes] == ["aten.add.Tensor" if chosen else "aten.mul.Tensor"]


@pytest.mark.parametrize(("axis", "wanted"), [(1, 5), (2, 5)])
def test_a_fixed_size_chooses_a_branch(compare, axis, wanted):
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "axis"], ["n"]),
        helper.make_node("Equal", ["n", "wanted"], ["c"]),
        condition("c", added(), halved()),
    ]
    compare(nodes, {"x": SEQUENCE}, HALF | {"axis": np.int64(axis), "wanted": np.int64(wanted)})


def test_names_within_branches_are_their_own(compare):
    nodes = [
        condition("yes", added(), halved(), "a"),
        condition("yes", added(), halved(), "b"),
        node("Sub", "a", "b"),
    ]
    compare(nodes, {"x": SEQUENCE}, HALF | YES)


def test_conditions_lie_within_conditions(compare):
    inner = branch(condition("yes", halved("q"), added("q"), "r"))
    compare(condition("yes", inner, added()), {"x": SEQUENCE}, HALF | YES)


def test_the_branch_that_is_not_taken_may_hold_what_is_not_read(compare):
    random = branch(helper.make_node("RandomNormalLike", ["x"], ["r"]))
    compare(condition("yes", halved(), random), {"x": SEQUENCE}, HALF | YES)


def nested(depth):
    made = halved()
    for _ in range(depth):
        made = branch(condition("yes", made, halved("q"), "r"))
    return made


@pytest.mark.parametrize(
    ("nodes", "error", "why"),
    [
        ([helper.make_node("Greater", ["total", "factor"], ["c"]), condition("c", added(), halved())],
         OperatorUnsupported, "depends on its data"),
        ([helper.make_node("Equal", ["n", "ones"], ["c"]), condition("c", added(), halved())],
         OperatorUnsupported, "dynamic axis"),
        ([condition("yes", branch(helper.make_node("Exec", ["x"], ["r"])), halved())], OperatorUnsupported, "'Exec'"),
        ([condition("yes", added("inner"), halved(), "a"), node("Relu", "inner")], ModelCorrupt, "'inner' is used"),
        ([condition("yes", added("x"), halved())], ModelCorrupt, "two values"),
        ([helper.make_node("If", ["yes"], ["y0"], then_branch=added())], ModelCorrupt, "two branches"),
        ([helper.make_node("If", [], ["y0"], then_branch=added(), else_branch=added())], ModelCorrupt, "two branches"),
        ([condition("yes", nested(6), halved())], ModelTooLarge, "deeper"),
        ([condition("yes", branch(*[helper.make_node("Relu", ["x"], [f"r{at}"]) for at in range(20_001)]), halved())],
         ModelTooLarge, "20000 nodes"),
        ([helper.make_node("Loop", ["", "yes"], ["y0"], body=halved())], OperatorUnsupported, "of its own"),
    ],
)  # fmt: skip
def test_what_is_no_known_condition_is_refused(write, nodes, error, why):
    before = [
        helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0),
        helper.make_node("Shape", ["x"], ["n"], start=0, end=1),
    ]
    path = write([*before, *nodes], {"x": SEQUENCE}, HALF | YES | {"ones": ints(1)})
    with pytest.raises(error, match=why):
        read_model(path)


def test_a_branch_with_inputs_or_sparse_tensors_is_refused(write):
    path = write([condition("yes", added(), halved())], {"x": SEQUENCE}, HALF | YES)
    model = onnx.load(path)
    model.graph.node[0].attribute[0].g.input.add(name="x")
    onnx.save(model, path)
    with pytest.raises(InputError, match="inputs or sparse"):
        read_model(path)
