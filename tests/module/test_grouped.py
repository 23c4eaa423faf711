"""Products of sorted rows with a stack of matrices: transformers' own operator says what is right."""

import pytest
import torch
from torch import nn
from transformers.integrations import moe  # registers the operator

from sterna.graph import find_layers
from sterna.intake import read_model
from sterna.module import build_module
from sterna.module.grouped import grouped_mm

GROUPS, WIDE, NARROW = 3, 5, 4
theirs = torch.ops.transformers.grouped_mm_fallback


class Experts(nn.Module):
    """Each row by the expert that its greatest value names: sorted, multiplied, put back."""

    def __init__(self):
        super().__init__()
        self.experts = nn.Parameter(torch.randn(GROUPS, NARROW, WIDE))
        self.last = nn.Linear(NARROW, 2)

    def forward(self, rows):
        expert = rows[:, :GROUPS].argmax(1)
        order = expert.argsort()
        offs = (expert[:, None] == torch.arange(GROUPS)).sum(0).cumsum(0).int()
        products = theirs(rows[order], self.experts.transpose(-2, -1), offs)
        return self.last(torch.zeros_like(products).index_copy(0, order, products))


@pytest.fixture(scope="module")
def original():
    torch.manual_seed(0)
    return Experts()


@pytest.fixture(scope="module")
def network(original, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.pt2"
    axes = ({0: torch.export.Dim("batch")},)
    torch.export.save(torch.export.export(original, (torch.randn(6, WIDE),), dynamic_shapes=axes), path)
    return read_model(path)


@pytest.mark.parametrize("ends", [[2, 5, 7], [0, 0, 7], [7, 7, 7], [0, 3, 5], [0, 0, 0]])
def test_it_is_transformers_own_product_with_its_gradients(ends):
    assert moe
    rows = torch.randn(7, WIDE, requires_grad=True)
    stack = torch.randn(GROUPS, WIDE, NARROW, requires_grad=True)
    offs = torch.tensor(ends, dtype=torch.int32)
    found, wanted = grouped_mm(input=rows, weight=stack, offs=offs), theirs(rows, stack, offs)
    torch.testing.assert_close(found, wanted)
    slope = torch.randn_like(wanted)
    gradients = [torch.autograd.grad(one, (rows, stack), slope) for one in (found, wanted)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("ends", [[3, 2, 7], [-1, 2, 7], [2, 5, 8], [2, 7], [1, 2, 3, 7]])
def test_groups_that_are_none_are_refused(ends):
    with pytest.raises(ValueError, match=r"groups of rows|zip\(\)"):
        grouped_mm(input=torch.ones(7, WIDE), weight=torch.ones(GROUPS, WIDE, NARROW), offs=torch.tensor(ends))


def test_a_network_with_experts_computes_and_trains_as_it_did(original, network):
    rebuilt = build_module(network)
    for size in (2, 9):
        rows = torch.randn(size, WIDE)
        torch.testing.assert_close(rebuilt(rows), original(rows))
    for module in (rebuilt, original):
        module.zero_grad()
        module(rows).square().sum().backward()
    torch.testing.assert_close(rebuilt.experts.grad, original.experts.grad)


def test_experts_are_a_layer_whose_channels_are_their_outputs(network):
    [experts] = [layer for layer in find_layers(network.graph) if layer.name == "experts"]
    assert (experts.kind, experts.channel_axis, experts.ternarisable) == ("linear", 1, True)


def test_it_is_exported_again_as_what_torch_knows(original, network):
    axes = {"args": ({0: torch.export.Dim.DYNAMIC},)}
    program = torch.export.export(build_module(network), (torch.randn(6, WIDE),), dynamic_shapes=axes)
    assert all(str(node.target).startswith("aten") for node in program.graph.nodes if node.op == "call_function")
    rows = torch.randn(11, WIDE)
    torch.testing.assert_close(program.module()(rows), original(rows))
