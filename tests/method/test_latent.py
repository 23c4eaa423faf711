"""Latent weights: what the network runs with, what its gradients mean for them, and their units."""

import copy

import pytest
import torch
from torch import nn
from torch.func import functional_call

from sterna.method import TernaryLayer
from sterna.method.latent import LatentWeights

LAYERS = [TernaryLayer("embed.weight", 1), TernaryLayer("inner.weight", 0)]


class Tied(nn.Module):
    """An autoencoder whose embedding is its head as well, and holds one layer twice."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(11, 6), nn.Linear(6, 11, bias=False)
        self.head.weight = self.embed.weight
        self.inner = self.again = nn.Linear(6, 6)

    def forward(self, tokens):
        return self.head(self.again(self.inner(self.embed(tokens)).tanh()))


class StraightThrough(torch.autograd.Function):
    """x in the place of v, with the gradient of v: what `carry_gradient` does by hand."""

    @staticmethod
    def forward(_ctx, _v, x):
        return x.clone()

    @staticmethod
    def backward(_ctx, gradient):
        return gradient, None


@pytest.fixture
def latent():
    weights = {"w": torch.randn(6, 40, generator=torch.Generator().manual_seed(0))}
    return LatentWeights(weights, [TernaryLayer("w")], target_sparsity=0.5)


def written(latent, weight="w"):
    latent.install()
    return next(part.weight for part in latent._parts if part.layer.name == weight)


@pytest.mark.parametrize("run_with", ["hard", "between", "clipped", "codes"])
def test_the_network_runs_with_it_and_gives_its_gradients(run_with):
    torch.manual_seed(0)
    network, tokens = Tied(), torch.arange(5)
    plain = copy.deepcopy(network)
    latent = LatentWeights(dict(network.named_parameters()), LAYERS, 0.5)
    v = latent.v.clone().requires_grad_()
    rho = (latent.log_scale + 0.1 * torch.randn_like(latent.log_scale)).requires_grad_()
    threshold = latent.v.abs().median()
    hard = latent.v.sign() * (latent.v.abs() > threshold)
    if run_with == "clipped":
        x = latent.v.clamp(-1, 1)
        latent.soften()
    elif run_with == "codes":
        x = hard.roll(1)
        latent.fix(x)
    else:
        hardness = 1.0 if run_with == "hard" else 0.25
        x = hard if run_with == "hard" else torch.lerp(latent.v, hard, hardness)
        latent.harden(threshold, hardness)

    # By differentiation, in a copy in which tensors take the places of the parameters.
    stand_ins, done, channels = {}, 0, 0
    for layer in LAYERS:
        weight = plain.get_parameter(layer.name)
        own, scales = slice(done, done + weight.numel()), slice(channels, channels + weight.shape[layer.channel_axis])
        shape = [-1 if axis == layer.channel_axis else 1 for axis in range(weight.ndim)]
        through = StraightThrough.apply(v[own], x[own])
        stand_ins[layer.name] = through.view(weight.shape) * rho[scales].exp().view(shape)
        done, channels = own.stop, scales.stop
    stand_ins["head.weight"] = stand_ins["embed.weight"]
    stand_ins |= {f"again.{name}": stand_ins.get(f"inner.{name}", plain.inner.bias) for name in ("weight", "bias")}
    wanted = functional_call(plain, stand_ins, (tokens,), tie_weights=False)
    wanted.square().mean().backward()

    with torch.no_grad():
        latent.log_scale.copy_(rho)
        latent.install()
    found = network(tokens)
    torch.testing.assert_close(found, wanted)
    found.square().mean().backward()
    with torch.no_grad():
        latent.carry_gradient()
    torch.testing.assert_close(latent.v.grad, v.grad)
    torch.testing.assert_close(latent.log_scale.grad, rho.grad)
    torch.testing.assert_close(network.inner.bias.grad, plain.inner.bias.grad)
    assert network.embed.weight.grad is None
    assert bool(latent.v.grad.any())

    # Those of a second part of a batch are added, and all are forgotten together.
    network(tokens).square().mean().backward()
    with torch.no_grad():
        latent.carry_gradient()
    torch.testing.assert_close(latent.v.grad, 2 * v.grad)
    torch.testing.assert_close(latent.log_scale.grad, 2 * rho.grad)
    latent.forget_gradient()
    assert not latent.v.grad.any()
    assert not latent.log_scale.grad.any()


def test_frozen_weights_get_no_gradient_and_scales_do():
    torch.manual_seed(0)
    network = Tied()
    latent = LatentWeights(dict(network.named_parameters()), LAYERS, 0.5)
    latent.fix(latent.v.sign())
    latent.freeze()
    with torch.no_grad():
        latent.install()
    network(torch.arange(5)).square().sum().backward()
    with torch.no_grad():
        latent.carry_gradient()
    assert latent.v.grad is None
    assert bool(latent.log_scale.grad.any())


def test_a_layer_that_was_not_computed_has_no_gradient_and_none_of_the_step_before():
    torch.manual_seed(0)
    network = Tied()
    latent = LatentWeights(dict(network.named_parameters()), LAYERS, 0.5)
    latent.harden(torch.tensor(0.3), 1.0)
    for compute in (lambda: network(torch.arange(5)), lambda: network.head(torch.ones(1, 6))):
        latent.forget_gradient()
        with torch.no_grad():
            latent.install()
        compute().square().sum().backward()
        with torch.no_grad():
            latent.carry_gradient()
    embedding, inner = latent.v.grad.split(latent.sizes)
    assert bool(embedding.any())
    assert not inner.any()
    assert not latent.log_scale.grad[6:].any()


def test_anchoring_puts_the_survivors_mean_at_one_and_changes_no_hard_weight(latent):
    latent.v.mul_(3.0)
    threshold = latent.v.abs().median()
    latent.harden(threshold, 1.0)
    before = written(latent).clone()
    anchored = latent.anchor(threshold)
    magnitude = latent.v.abs()
    assert float(magnitude[magnitude > anchored].mean()) == pytest.approx(1.0)
    latent.harden(anchored, 1.0)
    assert torch.equal(written(latent), before)


def test_anchoring_without_a_survivor_does_nothing(latent):
    before = latent.v.clone()
    assert float(latent.anchor(torch.tensor(99.0))) == 99.0
    assert torch.equal(latent.v, before)
