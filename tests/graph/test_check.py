from dataclasses import replace

import pytest

from sterna.errors import ModelCorrupt, ModelTooLarge, ModelUnsafe, OperatorUnsupported
from sterna.graph import Dtype, Graph, Input, Node, TensorInfo, TensorRef, ValueRef, check_graph
from sterna.graph.check import MAX_NODES


def with_node(graph: Graph, operator: str, arguments, outputs=("new",)) -> Graph:
    return replace(graph, nodes=(*graph.nodes, Node(operator, arguments, outputs)))


def with_tensor(graph: Graph, name: str, info=TensorInfo("parameter", "float32", (1,))) -> Graph:  # noqa: B008  frozen
    return replace(graph, tensors={**graph.tensors, name: info})


def test_a_sound_graph_passes(graph):
    check_graph(graph)


def test_every_unknown_operator_is_named(graph):
    spoilt = with_node(with_node(graph, "aten.empty.memory_format", {}), "os.system", {}, ("other",))
    with pytest.raises(OperatorUnsupported, match=r"'aten\.empty\.memory_format', 'os\.system'"):
        check_graph(spoilt)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"self": ValueRef("nobody")}, ModelCorrupt, "before anything makes it"),
        ({"self": ValueRef("new")}, ModelCorrupt, "before anything makes it"),
        ({"self": TensorRef("fc.scale")}, ModelCorrupt, "no tensor of that name"),
        ({"self": ValueRef("x"), "out": ValueRef("x")}, OperatorUnsupported, "is given 'out'"),
        ({"self": 2**63}, ModelCorrupt, "64 bits"),
        ({"self": "a" * 65}, ModelTooLarge, "65 characters"),
        ({"self": (0,) * 5000}, ModelTooLarge, "too long"),
        ({"self": ((((0,),),),)}, ModelTooLarge, "too deep"),
        ({"self": Dtype("complex64")}, OperatorUnsupported, "complex64"),
    ],
)
def test_arguments_are_checked(graph, arguments, error, words):
    with pytest.raises(error, match=words):
        check_graph(with_node(graph, "aten.relu.default", arguments))


@pytest.mark.parametrize(
    "outputs", [("view",), ("x",), ("new", "new"), (), ("a-b",), ("1",), ("lambda x: x",), ("é",), ("a" * 600,)]
)
def test_names_of_values_are_new_identifiers(graph, outputs):
    with pytest.raises(ModelCorrupt):
        check_graph(with_node(graph, "aten.relu.default", {"self": ValueRef("x")}, outputs))


@pytest.mark.parametrize(
    "name", ["", ".", "a..b", "a.", "../x", "a b", "a-b", "__class__", "a.__dict__", "a" * 600, "a/b", "é", "a\n"]
)
def test_tensors_are_called_as_modules_can_call_them(graph, name):
    with pytest.raises(ModelUnsafe):
        check_graph(with_tensor(graph, name))


@pytest.mark.parametrize("name", ["w", "0.weight", "_blocks.0._bn1.weight", "a.b_c.7", "fc2.weight"])
def test_ordinary_names_pass(graph, name):
    check_graph(with_tensor(graph, name))


def test_a_tensor_is_no_module(graph):
    with pytest.raises(ModelCorrupt, match="'fc'"):
        check_graph(with_tensor(graph, "fc"))


@pytest.mark.parametrize(
    ("info", "error"),
    [
        (TensorInfo("parameter", "float32", (-1,)), ModelCorrupt),
        (TensorInfo("parameter", "float32", (1,) * 17), ModelCorrupt),
        (TensorInfo("parameter", "float32", (0, 2**49)), ModelCorrupt),
        (TensorInfo("parameter", "float32", (0, 2**30, 2**30)), ModelCorrupt),
        (TensorInfo("parameter", "quint8", (1,)), OperatorUnsupported),
        (TensorInfo("code", "float32", (1,)), ModelCorrupt),  # type: ignore[arg-type]  that is the point
    ],
)
def test_tensors_are_checked(graph, info, error):
    with pytest.raises(error):
        check_graph(with_tensor(graph, "new", info))


def test_inputs_and_outputs_are_checked(graph):
    with pytest.raises(ModelCorrupt, match="returns nothing"):
        check_graph(replace(graph, outputs=()))
    with pytest.raises(ModelCorrupt, match="before anything makes it"):
        check_graph(replace(graph, outputs=(ValueRef("nobody"),)))
    with pytest.raises(ModelCorrupt, match="two values"):
        check_graph(replace(graph, inputs=graph.inputs * 2))
    with pytest.raises(ModelCorrupt, match="shape"):
        check_graph(replace(graph, inputs=(Input("x", "float32", (None, -3)),)))


def test_the_number_of_nodes_is_bounded(graph):
    with pytest.raises(ModelTooLarge, match=str(MAX_NODES)):
        check_graph(replace(graph, nodes=graph.nodes * MAX_NODES))
