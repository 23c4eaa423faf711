"""ONNX files that lie, explode or point elsewhere: each is refused with its own error, in little time and memory."""

import random
import time

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from sterna.errors import InputError, ModelCorrupt, ModelTooLarge, ModelUnsafe, OperatorUnsupported
from sterna.intake import preflight, read_model
from sterna.module import build_module

FLOAT = TensorProto.FLOAT
LIMIT_S = 60  # generous: machines of tests are shared; what explodes takes hours


@pytest.fixture
def model():
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])]
    return network(nodes, {"w": np.ones((3, 2), np.float32)})


def network(nodes, tensors, outputs=("y",)):
    given = [helper.make_tensor_value_info("x", FLOAT, ["batch", 3])]
    returned = [helper.make_empty_tensor_value_info(name) for name in outputs]
    stored = [numpy_helper.from_array(array, name) for name, array in tensors.items()]
    graph = helper.make_graph(nodes, "g", given, returned, stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


@pytest.fixture
def refused(tmp_path):
    def check(model, error, match=None):
        path = tmp_path / "model.onnx"
        path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        began = time.monotonic()
        with pytest.raises(error, match=match) as caught:
            read_model(path)
        assert time.monotonic() - began < LIMIT_S
        assert len(str(caught.value)) < 1500

    return check


def test_the_model_itself_is_sound(tmp_path, model):
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    assert preflight(path, None).ternarisable_weights == 6


def test_every_truncation_is_refused(tmp_path, model):
    content, path = model.SerializeToString(), tmp_path / "model.onnx"
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(InputError):
            preflight(path, None)


def test_a_damaged_file_is_read_or_refused(tmp_path, model):
    content, path = model.SerializeToString(), tmp_path / "model.onnx"
    chance = random.Random(0)  # noqa: S311  not for secrets
    refusals = 0
    for _ in range(400):
        spoilt = bytearray(content)
        for _ in range(chance.choice((1, 1, 2, 5))):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        path.write_bytes(bytes(spoilt))
        try:
            preflight(path, None)
        except InputError:
            refusals += 1
    assert refusals > 100  # else nothing was spoilt


def test_weights_in_other_files_are_not_looked_for(model, refused, tmp_path):
    for location in ("/etc/passwd", "../weights", "weights", "http://example.com/w", ""):
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        del tensor.external_data[:]
        tensor.external_data.add(key="location", value=location)
        refused(model, ModelUnsafe, "another file")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_operators_of_other_domains_are_named(model, refused):
    model.graph.node[1].domain = "com.microsoft"
    refused(model, OperatorUnsupported, "'Relu' of the domain 'com.microsoft'")


def test_unknown_operators_are_named(model, refused):
    model.graph.node[1].op_type = "Exec"
    refused(model, OperatorUnsupported, "'Exec'")


def test_networks_within_nodes_are_refused(model, refused):
    inner = helper.make_graph([], "inner", [], [])
    model.graph.node[1].attribute.append(helper.make_attribute("body", inner))
    refused(model, OperatorUnsupported, "network of its own")


def test_functions_are_refused(model, refused):
    model.functions.add(name="f", domain="d")
    refused(model, OperatorUnsupported, "functions")


def test_training_loops_and_sparse_tensors_are_refused(model, refused):
    model.training_info.add()
    refused(model, OperatorUnsupported, "training")
    model.ClearField("training_info")
    model.graph.sparse_initializer.add()
    refused(model, OperatorUnsupported, "sparse")


def test_references_forward_and_in_circles_are_refused(model, refused):
    model.graph.node[0].input[0] = "h"
    refused(model, ModelCorrupt, "'h' is used before")
    model.graph.node[0].input[0] = "y"
    refused(model, ModelCorrupt, "'y' is used before")


def test_two_of_one_name_are_refused(model, refused):
    model.graph.node[1].output[0] = "h"
    model.graph.output[0].name = "h"
    refused(model, ModelCorrupt, "two values")
    model.graph.initializer.add().CopyFrom(model.graph.initializer[0])
    refused(model, ModelCorrupt, "two tensors")


def test_fields_that_come_twice_are_refused(model, refused):
    content = model.SerializeToString()
    refused(content + content, ModelCorrupt, "twice")


def test_shapes_beyond_the_bytes_are_refused(model, refused):
    model.graph.initializer[0].dims[:] = [2**40, 2]
    refused(model, ModelCorrupt)
    model.graph.initializer[0].dims[:] = [2**62, 2**62]
    refused(model, ModelCorrupt)


def test_work_on_constants_is_bounded(refused):
    nodes = [helper.make_node("Add", [f"v{at}", "v0"], [f"v{at + 1}"]) for at in range(5000)]
    nodes += [helper.make_node("Reshape", ["x", "v5000"], ["y"])]
    refused(network(nodes, {"v0": np.ones(4096, np.int64)}), ModelTooLarge, "elements of shapes")


GREAT = {
    "OneHot of a great depth": ("OneHot", {"d": np.int64(2**40), "v": np.float32([0, 1])}, {}),
    "OneHot of many and a depth that is allowed": ("OneHot", {"d": np.int64(2**29), "v": np.float32([0, 1])}, {}),
    "OneHot of the greatest depth": ("OneHot", {"d": np.int64(2**63 - 1), "v": np.float32([0, 1])}, {}),
    "AffineGrid": ("AffineGrid", {"s": np.int64([1, 1, 2**20, 2**20])}, {}),
    "LRN over many channels": ("LRN", {}, {"size": 2**40 + 1}),
    "Tile of sizes": ("Tile", {"t": np.int64([2**30, 2**30])}, {}),
}


@pytest.mark.parametrize("case", GREAT)
def test_what_is_made_out_of_numbers_is_bounded_when_it_runs(tmp_path, case):
    operator, tensors, attributes = GREAT[case]
    shape = {"AffineGrid": (1, 2, 3), "LRN": (1, 2, 2, 2)}.get(operator, (5, 3))
    model = network([helper.make_node(operator, ["x", *tensors], ["y"], **attributes)], tensors)
    del model.graph.input[0].type.tensor_type.shape.dim[:]
    for size in shape:
        model.graph.input[0].type.tensor_type.shape.dim.add(dim_value=size)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    module = build_module(read_model(path))
    with pytest.raises(ModelTooLarge, match="would make"):
        module(torch.ones(shape))


EMPTY, TWO = np.zeros(0, np.int64), np.int64([0, 1])
IMPOSSIBLE = {
    "OneHot of fewer than no places": ("OneHot", {"d": np.int64(-1), "v": np.float32([0, 1])}, {}, "-1 places"),
    "OneHot of all places": ("OneHot", {"d": np.float32("inf"), "v": np.float32([0, 1])}, {}, "inf places"),
    "GatherND of many axes": ("GatherND", {"i": np.zeros((1, 100_000), np.int64)}, {}, "100000 axes"),
    "Einsum of one term": ("Einsum", {"w": np.ones((2, 2), np.float32)}, {"equation": "...ij"}, "1 terms"),
    "Einsum of three letters": ("Einsum", {}, {"equation": "...ijk"}, "more letters"),
    "Attention of rows": ("Attention", {"k": np.ones((2, 3), np.float32), "v": np.ones((2, 3), np.float32)}, {},
                          "three or four axes"),
    "LSTM of rows": ("LSTM", {"w": np.ones((1, 8, 3), np.float32), "r": np.ones((1, 8, 2), np.float32)},
                     {"hidden_size": 2}, "2 axes"),
    "MaxPool of odd pads": ("MaxPool", {}, {"kernel_shape": [2, 2], "pads": [0] * 5}, "does not fit"),
    "ReverseSequence over the third axis": ("ReverseSequence", {"n": TWO}, {"time_axis": 2}, "first two axes"),
}  # fmt: skip


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_numbers_that_cannot_be_are_refused(refused, case):
    operator, tensors, attributes, why = IMPOSSIBLE[case]
    nodes = [helper.make_node(operator, ["x", *tensors], ["y"], **attributes)]
    refused(network(nodes, tensors), ModelCorrupt, why)


@pytest.mark.parametrize(
    ("operator", "tensors", "why"),
    [
        ("Reshape", {"a": TWO, "b": EMPTY}, "one number"),
        ("Range", {"a": EMPTY, "b": np.int64(3), "c": np.int64(1)}, "single numbers"),
        ("Range", {"a": np.int64(-(2**63)), "b": np.int64(2**63 - 1), "c": np.int64(1)}, "further"),
        ("Range", {"a": np.int64(1), "b": np.int64(2), "c": np.int64(0)}, "step of 0"),
        ("NonZero", {"a": np.int64(3)}, "depends on data"),
    ],
)
def test_constants_that_cannot_be_are_refused(refused, operator, tensors, why):
    nodes = [helper.make_node(operator, list(tensors), ["h"]), helper.make_node("Reshape", ["x", "h"], ["y"])]
    refused(network(nodes, tensors), InputError, why)


def test_sizes_that_overflow_are_refused(refused):
    nodes = [helper.make_node("Mul", [f"v{at}", f"v{at}"], [f"v{at + 1}"]) for at in range(8)]
    nodes += [helper.make_node("Reshape", ["x", "v8"], ["y"])]
    refused(network(nodes, {"v0": np.array([2**20], np.int64)}), ModelCorrupt, "64 bits")


def test_long_names_and_lists_are_refused(model, refused):
    model.graph.node[1].name = "n"
    model.graph.node[1].op_type = "R" * 100_000
    refused(model, ModelTooLarge, "text")
    model.graph.node[1].op_type = "Relu"
    model.graph.node[1].attribute.append(helper.make_attribute("axes", [0] * 100_000))
    refused(model, ModelTooLarge, "list")


def test_control_characters_stay_out_of_messages(model, refused):
    model.graph.node[1].op_type = "\x1b[2J"
    refused(model, OperatorUnsupported, r"\\x1b")
