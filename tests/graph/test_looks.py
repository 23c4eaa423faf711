import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sterna
from api_schemas import CompressSpec
from sterna.artifact import Artifact
from sterna.compress import compress
from sterna.graph import Dtype, Graph, Input, Node, TensorInfo, TensorRef, ValueRef, find_layers

W, V, X = TensorRef("w"), ValueRef("v"), ValueRef("x")
T, TRANSPOSE, PERMUTE = "aten.t.default", "aten.transpose.int", "aten.permute.default"
MM = ("aten.mm.default", {"self": X, "mat2": V})


def layers(view: Node, *uses, outputs=("y0",), shape=(5, 4)):
    nodes = (view, *(Node(operator, arguments, (f"y{index}",)) for index, (operator, arguments) in enumerate(uses)))
    tensors = {"w": TensorInfo("parameter", "float32", shape)}
    return find_layers(Graph((Input("x", "float32", (None, 4)),), tensors, nodes, tuple(map(ValueRef, outputs))))


@pytest.mark.parametrize(
    ("operator", "arguments", "axis"),
    [
        (T, {"self": W}, 0),
        ("aten.numpy_T.default", {"self": W}, 0),
        ("aten.mT.default", {"self": W}, 0),
        (TRANSPOSE, {"self": W, "dim0": 0, "dim1": 1}, 0),
        (TRANSPOSE, {"self": W, "dim0": -1, "dim1": -2}, 0),
        (TRANSPOSE, {"self": W, "dim0": 1, "dim1": -1}, 1),
        (PERMUTE, {"self": W, "dims": (1, 0)}, 0),
        (PERMUTE, {"self": W, "dims": (-2, -1)}, 1),
    ],
)
@pytest.mark.parametrize(
    "use",
    [
        MM,
        ("aten.matmul.default", {"self": X, "other": V}),
        ("aten.addmm.default", {"self": X, "mat1": X, "mat2": V}),
    ],
    ids=["mm", "matmul", "addmm"],
)
def test_weights_are_found_behind_a_transposition(operator, arguments, axis, use):
    (layer,) = layers(Node(operator, arguments, ("v",)), use)
    assert (layer.name, layer.kind, layer.channel_axis, layer.ternarisable) == ("w", "linear", axis, True)


def test_twice_transposed_is_as_it_was():
    (layer,) = layers(
        Node(T, {"self": W}, ("u",)), (T, {"self": ValueRef("u")}), (MM[0], {"self": X, "mat2": ValueRef("y0")})
    )
    assert layer.channel_axis == 1


def test_a_transposed_weight_on_the_left_has_its_channels_in_its_columns():
    (layer,) = layers(Node(T, {"self": W}, ("v",)), ("aten.mm.default", {"self": V, "mat2": X}))
    assert layer.channel_axis == 1


@pytest.mark.parametrize(
    ("other", "why_not"),
    [
        (("aten.relu.default", {"self": V}), "otherwise"),
        (("aten.cat.default", {"tensors": (V, X)}), "otherwise"),
        (("aten.linear.default", {"input": X, "weight": V}), "two output-channel axes"),
    ],
)
def test_every_use_of_the_transposed_counts(other, why_not):
    (layer,) = layers(Node(T, {"self": W}, ("v",)), MM, other)
    assert why_not in layer.why_not


def test_what_is_returned_is_not_made_ternary():
    (layer,) = layers(Node(T, {"self": W}, ("v",)), MM, outputs=("y0", "v"))
    assert "otherwise" in layer.why_not


@pytest.mark.parametrize(
    ("view", "shape"),
    [
        (Node(PERMUTE, {"self": W, "dims": (1, 1)}, ("v",)), (5, 4)),
        (Node(PERMUTE, {"self": W, "dims": (0, 7)}, ("v",)), (5, 4)),
        (Node(PERMUTE, {"self": W, "dims": 1}, ("v",)), (5, 4)),
        (Node(TRANSPOSE, {"self": W, "dim0": X, "dim1": 1}, ("v",)), (5, 4)),
        (Node(TRANSPOSE, {"self": W}, ("v",)), (5, 4)),
        (Node(TRANSPOSE, {"self": W, "dim0": 0, "dim1": 3}, ("v",)), (5, 4, 3)),
        (Node(PERMUTE, {"self": W, "dims": (0, 1)}, ("v",)), (5, 4, 3)),
        (Node(T, {"self": W}, ("v",)), (5, 4, 3)),
        (Node("aten.select.int", {"self": W, "dim": 2, "index": 0}, ("v",)), (5, 4)),
        (Node(T, {"self": W}, ("v", "u")), (5, 4)),
        (Node("aten.view.default", {"self": W, "size": (4, 5)}, ("v",)), (5, 4)),
    ],
)
def test_nothing_else_is_followed(view, shape):
    assert layers(view, MM, shape=shape) == ()


@pytest.mark.parametrize(
    ("view", "shape", "axis"),
    [
        (Node("aten.chunk.default", {"self": W, "chunks": 3, "dim": 1}, ("v", "u")), (5, 6), 1),
        (Node("aten.split_with_sizes.default", {"self": W, "split_sizes": (2, 4), "dim": 0}, ("v", "u")), (6, 5), 1),
        (Node("aten.slice.Tensor", {"self": W, "dim": 0, "start": 1, "end": 9, "step": 2}, ("v",)), (5, 4), 1),
        (Node("aten.select.int", {"self": W, "dim": 0, "index": 1}, ("v",)), (3, 5, 4), 2),
        (Node("aten.unbind.int", {"self": W, "dim": -1}, ("v", "u")), (5, 4, 2), 1),
        (Node("aten.to.dtype", {"self": W, "dtype": Dtype("float16")}, ("v",)), (5, 4), 1),
        (Node("aten.detach.default", {"self": W}, ("v",)), (5, 4), 1),
        (Node("aten.unsqueeze.default", {"self": W, "dim": 0}, ("v",)), (5, 4), 1),
        (Node(TRANSPOSE, {"self": W, "dim0": 0, "dim1": -1}, ("v",)), (2, 5, 4), 0),
        (Node(PERMUTE, {"self": W, "dims": (2, 0, 1)}, ("v",)), (4, 5, 2), 1),
    ],
)
def test_weights_are_found_behind_other_looks(view, shape, axis):
    (layer,) = layers(view, ("aten.matmul.default", {"self": X, "other": V}), shape=shape)
    assert (layer.channel_axis, layer.ternarisable) == (axis, True)


def test_an_axis_that_a_look_has_added_is_no_output_channel():
    assert layers(Node("aten.unsqueeze.default", {"self": W, "dim": -1}, ("v",)), MM) == ()


class Products(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.randn(8, 4))
        self.b = nn.Parameter(torch.randn(6, 8))
        self.c = nn.Parameter(torch.randn(5, 6))
        self.bias = nn.Parameter(torch.randn(5))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(x @ self.a.t())
        x = torch.relu((self.b @ x.T).mT)
        return torch.addmm(self.bias, x, self.c.T)


def test_a_network_of_products_becomes_ternary(tmp_path):
    torch.manual_seed(0)
    exported = torch.export.export(Products(), (torch.zeros(3, 4),), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.export.save(exported, tmp_path / "model.pt2")
    spec = CompressSpec(target_sparsity=0.5, budget={"epochs": 1})
    result = compress(tmp_path / "model.pt2", None, spec, tmp_path)
    assert [(layer.name, layer.scale_shape) for layer in result.layers] == [("a", (8, 1)), ("b", (6, 1)), ("c", (5, 1))]
    with Artifact.open(tmp_path / "model.sterna") as artifact:
        codes = np.concatenate([artifact.codes(name).ravel() for name in "abc"])
    assert np.count_nonzero(codes == 0) == codes.size // 2
    assert sterna.load(tmp_path / "model.sterna")(torch.ones(2, 4)).shape == (2, 5)
