"""A small graph that every test may spoil."""

import pytest

from sterna.graph import Graph, Input, Node, TensorInfo, TensorRef, ValueRef


@pytest.fixture
def graph():
    return Graph(
        inputs=(Input("x", "float32", (None, 3)),),
        tensors={
            "fc.weight": TensorInfo("parameter", "float32", (4, 3)),
            "fc.bias": TensorInfo("parameter", "float32", (4,)),
        },
        nodes=(
            Node("aten.sym_size.int", {"self": ValueRef("x"), "dim": 0}, ("batch",)),
            Node(
                "aten.linear.default",
                {"input": ValueRef("x"), "weight": TensorRef("fc.weight"), "bias": TensorRef("fc.bias")},
                ("linear",),
            ),
            Node("aten.view.default", {"self": ValueRef("linear"), "size": (ValueRef("batch"), 2, 2)}, ("view",)),
            Node("aten.chunk.default", {"self": ValueRef("view"), "chunks": 1, "dim": 1}, ("part",), unpacked=True),
        ),
        outputs=(ValueRef("part"),),
    )
