"""Latent weights: their units do not change what the network computes once weights are hard."""

import pytest
import torch

from sterna.method import TernaryLayer
from sterna.method.latent import LatentWeights


@pytest.fixture
def latent():
    weights = {"w": torch.randn(6, 40, generator=torch.Generator().manual_seed(0))}
    return LatentWeights(weights, [TernaryLayer("w")], target_sparsity=0.5)


def test_anchoring_puts_the_survivors_mean_at_one_and_changes_no_hard_weight(latent):
    with torch.no_grad():
        latent.v.mul_(3.0)
    threshold = latent.v.detach().abs().median()
    before = latent.weights(threshold, 1.0)["w"].detach()
    anchored = latent.anchor(threshold)
    magnitude = latent.v.detach().abs()
    assert float(magnitude[magnitude > anchored].mean()) == pytest.approx(1.0)
    assert torch.equal(latent.weights(anchored, 1.0)["w"], before)


def test_anchoring_without_a_survivor_does_nothing(latent):
    before = latent.v.detach().clone()
    assert float(latent.anchor(torch.tensor(99.0))) == 99.0
    assert torch.equal(latent.v, before)
