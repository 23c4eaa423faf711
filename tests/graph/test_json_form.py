import json
import math
from dataclasses import replace

import pytest

from sterna.errors import InputError, ModelCorrupt, ModelTooLarge, OperatorUnsupported
from sterna.graph import Dtype, Node, TensorRef, ValueRef, graph_from_json, graph_to_json


def test_the_form_is_what_the_format_shows(graph):
    form = graph_to_json(graph)
    assert form["inputs"] == [{"name": "x", "dtype": "float32", "shape": [None, 3]}]
    assert form["tensors"][0] == {"name": "fc.weight", "kind": "parameter", "dtype": "float32", "shape": [4, 3]}
    assert form["nodes"][1] == {
        "operator": "aten.linear.default",
        "arguments": {"input": {"value": "x"}, "weight": {"tensor": "fc.weight"}, "bias": {"tensor": "fc.bias"}},
        "outputs": ["linear"],
        "unpacked": False,
    }
    assert form["nodes"][2]["arguments"]["size"] == [{"value": "batch"}, 2, 2]
    assert form["outputs"] == ["part"]


def test_what_is_written_is_read(graph):
    assert graph_from_json(json.loads(json.dumps(graph_to_json(graph), allow_nan=False))) == graph


@pytest.mark.parametrize(
    "value", [None, True, False, 1, 1.0, -0.5, "tanh", math.inf, -math.inf, (), (1, (2.0, None)), Dtype("float16")]
)
def test_arguments_keep_value_and_type(graph, value):
    node = Node("aten.relu.default", {"self": value}, ("new",))
    form = json.loads(json.dumps(graph_to_json(replace(graph, nodes=(*graph.nodes, node))), allow_nan=False))
    read = graph_from_json(form).nodes[-1].arguments["self"]
    assert read == value
    assert type(read) is type(value)


def test_not_a_number_survives(graph):
    node = Node("aten.relu.default", {"self": math.nan}, ("new",))
    form = json.dumps(graph_to_json(replace(graph, nodes=(*graph.nodes, node))), allow_nan=False)
    read = graph_from_json(json.loads(form)).nodes[-1].arguments["self"]
    assert isinstance(read, float)
    assert math.isnan(read)


@pytest.mark.parametrize(
    ("path", "value", "error"),
    [
        (("nodes",), {}, ModelCorrupt),
        (("extra",), 1, ModelCorrupt),
        (("nodes", 0, "operator"), "aten.os.system", OperatorUnsupported),
        (("nodes", 0, "operator"), 7, ModelCorrupt),
        (("nodes", 0, "outputs"), "batch", ModelCorrupt),
        (("nodes", 0, "unpacked"), 1, ModelCorrupt),
        (("nodes", 0, "arguments", "self"), {"value": "view"}, ModelCorrupt),
        (("nodes", 0, "arguments", "self"), {"value": 3}, ModelCorrupt),
        (("nodes", 0, "arguments", "self"), {"call": "eval"}, ModelCorrupt),
        (("nodes", 0, "arguments", "self"), {"value": "x", "tensor": "fc.bias"}, ModelCorrupt),
        (("nodes", 0, "arguments", "dim"), {"float": "1e3"}, ModelCorrupt),
        (("nodes", 0, "arguments", "dim"), math.inf, ModelCorrupt),
        (("nodes", 0, "arguments", "dim"), [[[[[1]]]]], ModelTooLarge),
        (("tensors", 1, "name"), "fc.weight", ModelCorrupt),
        (("tensors", 1, "shape"), [True], ModelCorrupt),
        (("tensors", 1, "kind"), "code", ModelCorrupt),
        (("inputs", 0, "shape"), [1.5], ModelCorrupt),
        (("outputs",), [], ModelCorrupt),
        (("outputs",), [["part"]], ModelCorrupt),
    ],
)
def test_everything_else_is_refused(graph, path, value, error):
    form = json.loads(json.dumps(graph_to_json(graph)))
    place = form
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(error):
        graph_from_json(form)


@pytest.mark.parametrize("form", [None, [], "graph", 3, {}])
def test_other_json_is_refused(form):
    with pytest.raises(InputError):
        graph_from_json(form)


def test_references_are_kept_apart(graph):
    arguments = graph_from_json(graph_to_json(graph)).nodes[1].arguments
    assert arguments["input"] == ValueRef("x")
    assert arguments["weight"] == TensorRef("fc.weight")
