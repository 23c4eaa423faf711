"""Parts of a network without gradients: what the original computes, and whose gradients it has."""

import pytest
import torch
from torch import Tensor, nn

from sterna.errors import OperatorUnsupported
from sterna.intake import read_model
from sterna.module import build_module


class Regions(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            frozen = torch.arange(x.shape[0]).unsqueeze(1) + self.a(x)
        with torch.autocast(device_type="cpu", enabled=False):
            scaled = self.b(frozen) * 2
        with torch.no_grad():
            mean = scaled.mean()
        return self.a(scaled) + scaled * mean


def test_regions_are_read_as_they_stand(export):
    model = Regions()
    network = read_model(export(model, torch.ones(3, 4)))
    assert not any("wrap" in node.operator for node in network.graph.nodes)
    rebuilt = build_module(network)
    x = torch.randn(5, 4)
    torch.testing.assert_close(rebuilt(x), model(x))
    for one in (rebuilt, model):
        one(x).square().sum().backward()
    wanted = dict(model.named_parameters())
    for name, parameter in rebuilt.named_parameters():
        torch.testing.assert_close(parameter.grad, wanted[name].grad)


class Frozen(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            x = self.a(x)
        return self.b(x)


def test_what_has_no_gradient_in_the_original_has_none(export):
    rebuilt = build_module(read_model(export(Frozen(), torch.ones(3, 4))))
    rebuilt(torch.randn(5, 4)).sum().backward()
    having = {name for name, parameter in rebuilt.named_parameters() if parameter.grad is not None}
    assert having == {"b.weight", "b.bias"}


class GivenBack(Frozen):
    """Of two casts torch makes one, inside the part; a cast to the type that a value has is the value itself."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        with torch.no_grad():
            same, rounded = x.to(torch.float32), x.to(torch.bfloat16)
            mask = (same > 0).float()
        return self.b(x.to(torch.float32) * mask) + rounded


def test_what_a_part_without_gradients_only_gives_back_keeps_them(export):
    model = GivenBack()
    rebuilt = build_module(read_model(export(model, torch.ones(3, 4))))
    x = torch.randn(5, 4)
    for one in (rebuilt, model):
        one(x).square().sum().backward()
    for name, wanted in model.named_parameters():
        torch.testing.assert_close(rebuilt.get_parameter(name).grad, wanted.grad)


class Enabled(Frozen):
    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        with torch.enable_grad():
            x = x * 2
        return self.b(x)


def test_gradients_that_are_switched_on_where_they_are_on_go_on(export):
    with torch.no_grad():  # exported so, the region stands in the file
        path = export(Enabled(), torch.ones(3, 4))
    rebuilt = build_module(read_model(path))
    rebuilt(torch.randn(5, 4)).sum().backward()
    assert all(parameter.grad is not None for parameter in rebuilt.parameters())


class Masked(Frozen):
    """A mask is made slice by slice without gradients, and written to once more with them."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            mask = torch.zeros(x.shape[0], 4)
            mask[:, 1:] = 1
            mask[:, 3].mul_(-2)
        mask[:, 0] = self.a(x)[:, 0]
        return self.b(x) * mask


def test_a_part_without_gradients_overwrites_what_it_has_made(export):
    model, x = Masked(), torch.randn(5, 4)
    rebuilt = build_module(read_model(export(model, torch.ones(3, 4))))
    torch.testing.assert_close(rebuilt(x), model(x))
    rebuilt(x).sum().backward()
    model(x).sum().backward()
    for found, wanted in zip(rebuilt.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(found.grad, wanted.grad)


class Lower(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(device_type="cpu", dtype=torch.bfloat16):
            return self.a(x)


def test_autocast_is_refused_with_the_remedy(export):
    with pytest.raises(OperatorUnsupported, match="autocast") as caught:
        read_model(export(Lower(), torch.ones(3, 4)))
    assert "without autocast" in caught.value.hint


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cond(x.sum() > 0, lambda y: y + 1, lambda y: y - 1, (x,))


def test_control_flow_is_named(export):
    with pytest.raises(OperatorUnsupported, match=r"higher_order\.cond"):
        read_model(export(Branches(), torch.ones(3, 4)))
