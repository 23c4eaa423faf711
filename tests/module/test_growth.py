"""Calls that would take memory without bound are refused before they take any."""

import pytest
import torch
from torch import Tensor, nn

from sterna.errors import ModelTooLarge
from sterna.graph import OPERATORS, Graph, Input, Network, Node, ValueRef
from sterna.module import build_module, growth
from sterna.module.operators import FUNCTIONS

X = ValueRef("x")
HUGE = 2**40


def network(operator: str, **arguments: object) -> nn.Module:
    node = Node(operator, arguments, ("y",))
    return build_module(Network(Graph((Input("x", "float32", (None, 2)),), {}, (node,), (ValueRef("y"),))))


@pytest.mark.parametrize(
    ("operator", "arguments"),
    [
        ("aten.zeros.default", {"size": (HUGE,)}),
        ("aten.full.default", {"size": (2**20, 2**20), "fill_value": 1.0}),
        ("aten.eye.default", {"n": 2**20}),
        ("aten.arange.default", {"end": HUGE}),
        ("aten.linspace.default", {"start": 0.0, "end": 1.0, "steps": HUGE}),
        ("aten.new_ones.default", {"self": X, "size": (HUGE,)}),
        ("aten.repeat.default", {"self": X, "repeats": (2**20, 2**20)}),
        ("aten.expand.default", {"self": X, "size": (HUGE, 3, 2)}),
        ("aten.repeat_interleave.self_int", {"self": X, "repeats": HUGE}),
        ("aten.constant_pad_nd.default", {"self": X, "pad": (HUGE, 0)}),
        ("aten.upsample_nearest2d.vec", {"input": X, "output_size": (2**20, 2**20), "scale_factors": None}),
        ("aten.diag_embed.default", {"self": X, "offset": 2**16}),
        ("aten.histc.default", {"self": X, "bins": HUGE}),
    ],
)
def test_memory_without_bound_is_refused(operator, arguments):
    assert OPERATORS[operator].grows
    shape = (1, 1, 2, 2) if "2d" in operator else (3, 2)
    with pytest.raises(ModelTooLarge, match="elements at once") as caught:
        network(operator, **arguments)(torch.ones(shape))
    assert operator in str(caught.value)


@pytest.mark.parametrize(
    ("operator", "arguments"),
    [
        ("aten.conv2d.default", {"padding": (2**50, 2**50)}),
        ("aten.conv2d.default", {"padding": (2**20, 2**20)}),
        ("aten.conv2d.default", {"padding": (2**62, 2**62)}),
        ("aten.conv_transpose2d.input", {"stride": (2**20, 2**20)}),
        ("aten.conv_transpose2d.input", {"dilation": (2**20, 2**20)}),
    ],
)
def test_layers_that_pad_or_stride_without_bound_are_refused(operator, arguments):
    nodes = (Node(operator, {"input": X, "weight": X} | arguments, ("y",)),)
    module = build_module(Network(Graph((Input("x", "float32", (None, 2, 3, 3)),), {}, nodes, (ValueRef("y"),))))
    with pytest.raises(ModelTooLarge, match=operator):
        module(torch.ones(2, 2, 3, 3))


def test_usual_layers_are_not_measured(monkeypatch):
    def must_not(*_):
        raise AssertionError("measured")

    monkeypatch.setattr("sterna.module.rebuilt.check_growth", must_not)
    node = Node("aten.conv2d.default", {"input": X, "weight": X, "padding": (64, 1), "stride": (2, 2)}, ("y",))
    module = build_module(Network(Graph((Input("x", "float32", (None, 2, 3, 3)),), {}, (node,), (ValueRef("y"),))))
    assert module(torch.ones(2, 2, 3, 3)).shape == (2, 2, 65, 2)


@pytest.mark.parametrize(
    ("operator", "arguments", "elements"),
    [
        ("aten.inner.default", {}, 2**40),
        ("aten.kron.default", {}, 2**42),
        ("aten.tensordot.default", {"dims_self": (1,), "dims_other": (1,)}, 2**40),
    ],
)
def test_products_of_two_large_values_are_refused(operator, arguments, elements):
    with pytest.raises(ModelTooLarge, match=f"{operator} would make {elements} elements"):
        network(operator, self=X, other=X, **arguments)(torch.ones(2**20, 2))


def test_doubling_again_and_again_is_refused():
    nodes = [Node("aten.cat.default", {"tensors": (X, X), "dim": 0}, ("v1",))]
    nodes += [
        Node("aten.cat.default", {"tensors": (ValueRef(f"v{n}"), ValueRef(f"v{n}")), "dim": 0}, (f"v{n + 1}",))
        for n in range(1, 60)
    ]
    graph = Graph((Input("x", "float32", (None, 2)),), {}, tuple(nodes), (ValueRef("v60"),))
    with pytest.raises(ModelTooLarge, match=r"aten\.cat\.default would make"):
        build_module(Network(graph))(torch.ones(2**24, 2, device="meta"))


def test_what_is_bounded_is_made_as_torch_makes_it():
    x = torch.randn(3, 2, requires_grad=True)
    repeated = network("aten.repeat.default", self=X, repeats=(2, 3))(x)
    assert torch.equal(repeated, x.repeat(2, 3))
    repeated.sum().backward()
    assert torch.equal(x.grad, torch.full((3, 2), 6.0))


def test_what_is_made_of_numbers_is_made_where_the_network_is():
    made = network("aten.zeros.default", size=(2,))(torch.ones(3, 2, device="meta"))
    assert isinstance(made, Tensor)
    assert made.device.type == "meta"


def values(*shape: int) -> Tensor:
    return torch.randn(shape)


def indices(*shape: int) -> Tensor:
    return torch.randint(0, 3, shape)


CALLS = {  # one of each
    "aten.upsample_nearest1d.vec": {"input": values(1, 2, 4), "output_size": None, "scale_factors": [2.0]},
    "aten.upsample_nearest2d.vec": {"input": values(1, 2, 4, 4), "output_size": None, "scale_factors": [2.0, 2.0]},
    "aten.upsample_nearest3d.vec": {
        "input": values(1, 2, 4, 4, 4),
        "output_size": None,
        "scale_factors": [2.0, 2.0, 2.0],
    },
    "aten._upsample_nearest_exact1d.vec": {"input": values(1, 2, 4), "output_size": None, "scale_factors": [2.0]},
    "aten._upsample_nearest_exact2d.vec": {
        "input": values(1, 2, 4, 4),
        "output_size": None,
        "scale_factors": [2.0, 2.0],
    },
    "aten._upsample_nearest_exact3d.vec": {
        "input": values(1, 2, 4, 4, 4),
        "output_size": None,
        "scale_factors": [2.0, 2.0, 2.0],
    },
    "aten.upsample_linear1d.vec": {
        "input": values(1, 2, 4),
        "output_size": [9],
        "align_corners": False,
        "scale_factors": None,
    },
    "aten.upsample_bilinear2d.vec": {
        "input": values(1, 2, 4, 4),
        "output_size": [9, 9],
        "align_corners": False,
        "scale_factors": None,
    },
    "aten.upsample_trilinear3d.vec": {
        "input": values(1, 2, 4, 4, 4),
        "output_size": [9, 9, 9],
        "align_corners": False,
        "scale_factors": None,
    },
    "aten.upsample_bicubic2d.vec": {
        "input": values(1, 2, 4, 4),
        "output_size": [9, 9],
        "align_corners": False,
        "scale_factors": None,
    },
    "aten._upsample_bilinear2d_aa.vec": {
        "input": values(1, 2, 4, 4),
        "output_size": [9, 9],
        "align_corners": False,
        "scale_factors": None,
    },
    "aten._upsample_bicubic2d_aa.vec": {
        "input": values(1, 2, 4, 4),
        "output_size": [9, 9],
        "align_corners": False,
        "scale_factors": None,
    },
    "aten.max_unpool2d.default": {"self": values(1, 2, 2, 2), "indices": indices(1, 2, 2, 2), "output_size": [4, 4]},
    "aten.im2col.default": {
        "self": values(1, 2, 4, 4),
        "kernel_size": [2, 2],
        "dilation": [1, 1],
        "padding": [0, 0],
        "stride": [1, 1],
    },
    "aten.col2im.default": {
        "self": values(1, 8, 9),
        "output_size": [4, 4],
        "kernel_size": [2, 2],
        "dilation": [1, 1],
        "padding": [0, 0],
        "stride": [1, 1],
    },
    "aten.affine_grid_generator.default": {"theta": values(1, 2, 3), "size": [1, 2, 4, 4], "align_corners": False},
    "aten.unfold.default": {"self": values(3, 9), "dimension": 1, "size": 2, "step": 1},
    "aten.expand.default": {"self": values(3, 1), "size": [3, 5]},
    "aten.broadcast_to.default": {"self": values(3, 1), "size": [3, 5]},
    "aten.meshgrid.default": {"tensors": [values(3), values(4)]},
    "aten.meshgrid.indexing": {"tensors": [values(3), values(4)], "indexing": "ij"},
    "aten.repeat.default": {"self": values(3), "repeats": [2, 2]},
    "aten.tile.default": {"self": values(3), "dims": [2, 2]},
    "aten.repeat_interleave.self_int": {"self": values(3), "repeats": 2, "dim": 0},
    "aten.pad.default": {"self": values(1, 3, 3), "pad": [1, 1], "mode": "reflect"},
    "aten.constant_pad_nd.default": {"self": values(1, 3, 3), "pad": [1, 1]},
    "aten.diag_embed.default": {"self": values(3)},
    "aten.zeros.default": {"size": [3]},
    "aten.ones.default": {"size": [3]},
    "aten.full.default": {"size": [3], "fill_value": 1.0},
    "aten.scalar_tensor.default": {"s": 3.0},
    "aten.eye.default": {"n": 3},
    "aten.eye.m": {"n": 3, "m": 2},
    "aten.arange.default": {"end": 3},
    "aten.arange.start": {"start": 1, "end": 3},
    "aten.arange.start_step": {"start": 1, "end": 9, "step": 2},
    "aten.linspace.default": {"start": 0.0, "end": 1.0, "steps": 5},
    "aten.tril_indices.default": {"row": 3, "col": 3},
    "aten.triu_indices.default": {"row": 3, "col": 3},
    "aten.new_zeros.default": {"self": values(3), "size": [4]},
    "aten.new_ones.default": {"self": values(3), "size": [4]},
    "aten.new_full.default": {"self": values(3), "size": [4], "fill_value": 2},
    "aten.one_hot.default": {"self": indices(3), "num_classes": 5},
    "aten.outer.default": {"self": values(3), "vec2": values(4)},
    "aten.ger.default": {"self": values(3), "vec2": values(4)},
    "aten.inner.default": {"self": values(3, 2), "other": values(4, 2)},
    "aten.kron.default": {"self": values(3, 2), "other": values(4)},
    "aten.tensordot.default": {"self": values(3, 2), "other": values(2, 5), "dims_self": [1], "dims_other": [0]},
    "aten.histc.default": {"self": values(3, 2), "bins": 7, "min": -1.0, "max": 1.0},
    "aten.hstack.default": {"tensors": [values(3, 2), values(3, 1)]},
    "aten.vstack.default": {"tensors": [values(3, 2), values(2)]},
    "aten.row_stack.default": {"tensors": [values(3, 2), values(2)]},
    "aten.dstack.default": {"tensors": [values(3, 2), values(3, 2)]},
    "aten.column_stack.default": {"tensors": [values(3, 2), values(3)]},
    "aten.cat.default": {"tensors": [values(3, 2), values(1, 2)]},
    "aten.concat.default": {"tensors": [values(3, 2), values(1, 2)], "dim": 0},
    "aten.concatenate.default": {"tensors": [values(3, 2), values(1, 2)], "dim": 0},
    "aten.stack.default": {"tensors": [values(3), values(3)], "dim": 1},
    "aten.cdist.default": {"x1": values(2, 3, 4), "x2": values(2, 5, 4), "p": 2.0},
}


def test_every_operator_that_grows_can_be_asked_what_it_makes():
    assert CALLS.keys() == {name for name, operator in OPERATORS.items() if operator.grows}


@pytest.mark.filterwarnings("ignore:torch.meshgrid")  # in torch's words: give the indexing
@pytest.mark.parametrize("name", CALLS)
def test_what_is_asked_is_what_is_made(name, monkeypatch):
    arguments = CALLS[name] | ({"device": "cpu"} if OPERATORS[name].makes else {})
    made = FUNCTIONS[name](**arguments)
    elements = sum(one.numel() for one in (made if isinstance(made, list | tuple) else [made]))
    monkeypatch.setattr(growth, "MAX_MADE_ELEMENTS", elements)
    growth.check_growth(name, FUNCTIONS[name], arguments)
    monkeypatch.setattr(growth, "MAX_MADE_ELEMENTS", elements - 1)
    with pytest.raises(ModelTooLarge, match=f"would make {elements} elements"):
        growth.check_growth(name, FUNCTIONS[name], arguments)
