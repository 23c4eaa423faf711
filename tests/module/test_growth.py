"""Calls that would take memory without bound are refused before they take any."""

import pytest
import torch
from torch import Tensor, nn

from sterna.errors import ModelTooLarge
from sterna.graph import OPERATORS, Graph, Input, Network, Node, ValueRef
from sterna.module import build_module

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
    ],
)
def test_memory_without_bound_is_refused(operator, arguments):
    assert OPERATORS[operator].grows
    shape = (1, 1, 2, 2) if "2d" in operator else (3, 2)
    with pytest.raises(ModelTooLarge, match="elements at once") as caught:
        network(operator, **arguments)(torch.ones(shape))
    assert operator in str(caught.value)


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
