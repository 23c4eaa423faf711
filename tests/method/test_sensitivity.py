"""Sensitivities against a loss whose curvature is known."""

import pytest
import torch

from sterna.method.sensitivity import layer_sensitivity


def test_sensitivities_are_powers_of_the_mean_squared_gradient():
    squares = torch.cat([torch.full((10,), 4.0), torch.full((1000,), 1.0)])
    assert layer_sensitivity(squares, [10, 1000], 1.0).tolist() == pytest.approx([4 / 3, 2 / 3])
    assert layer_sensitivity(squares, [10, 1000], 0.0).tolist() == [1.0, 1.0]
    assert layer_sensitivity(squares * 1e6, [10, 1000], 0.5).tolist() == pytest.approx(
        layer_sensitivity(squares, [10, 1000], 0.5).tolist()
    )


def test_a_layer_without_gradient_stays_comparable():
    sensitivity = layer_sensitivity(torch.tensor([0.0, 0.0, 1.0]), [2, 1], 0.5)
    assert bool((sensitivity > 0).all())
    assert float(sensitivity.mean()) == pytest.approx(1.0)


def test_the_ranking_finds_the_cheapest_zeros_of_a_quadratic_loss():
    """L = ½·Σ F·(w − v)², noise included: the mean squared gradient around v is F times the noise's variance of F."""
    generator = torch.Generator().manual_seed(0)
    curvature = torch.tensor([9.0, 1.0]).repeat_interleave(500)
    noise = torch.randn(200, 1000, generator=generator)
    squares = (curvature.sqrt() * noise).square().mean(0)  # scores have variance F, the Fisher information
    v = torch.randn(1000, generator=generator)
    sensitivity = layer_sensitivity(squares, [500, 500], 1.0)
    cost = 0.5 * curvature * v.square()
    rank = (sensitivity.repeat_interleave(500) * v.abs()).argsort()[:600]
    assert float(cost[rank].sum()) == pytest.approx(float(cost.sort().values[:600].sum()), rel=0.02)
