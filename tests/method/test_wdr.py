"""WDR against automatic differentiation, against its own algebra, and as a flow."""

import math

import pytest
import torch

from sterna.method.wdr import alpha_of, harden, threshold_of, wdr, wdr_slope


def test_value_of_one_weight():
    # R(w) = αw² − w⁴ at w = 0.5, α = 1: 0.25 − 0.0625
    assert float(wdr(torch.tensor([0.5]), 1.0)) == pytest.approx(0.1875)


@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.0, 1.9])
def test_slope_is_the_derivative_inside_the_wells_and_zero_outside(alpha):
    v = torch.linspace(-2, 2, 401, dtype=torch.float64, requires_grad=True)
    wdr(v.clamp(-1, 1), alpha).backward()
    inside = v.detach().abs() < 1
    torch.testing.assert_close(wdr_slope(v.detach(), alpha)[inside], v.grad[inside])
    assert not wdr_slope(v.detach(), alpha)[~inside].any()


@pytest.mark.parametrize("alpha", [0.1, 0.3, 0.5, 1.0, 1.5, 1.9])
def test_flow_takes_a_weight_to_zero_exactly_below_the_barrier(alpha):
    v = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
    end = v.clone()
    for _ in range(40_000):
        end.sub_(wdr_slope(end, alpha), alpha=5e-3).clamp_(-1, 1)
    away = (v - threshold_of(alpha)).abs() > 1e-9  # a weight exactly on the barrier stays there
    torch.testing.assert_close(end[away], (v > math.sqrt(alpha / 2)).double()[away], atol=1e-3, rtol=0)


def test_alpha_and_threshold_are_inverse():
    for alpha in (0.02, 0.5, 1.999):
        assert alpha_of(threshold_of(alpha)) == pytest.approx(alpha)


def test_harden_blends_from_the_latent_weight_to_the_ternary_one():
    v = torch.tensor([-1.5, -0.4, 0.0, 0.5, 0.6])
    threshold = torch.tensor(0.5)
    ternary = torch.tensor([-1.0, 0.0, 0.0, 0.0, 1.0])
    torch.testing.assert_close(harden(v, threshold, 0.0), v)
    torch.testing.assert_close(harden(v, threshold, 0.25), 0.75 * v + 0.25 * ternary)
    assert torch.equal(harden(v, threshold, 1.0), ternary)


def test_harden_writes_where_it_is_told_to():
    v, out = torch.randn(7), torch.empty(7)
    for hardness in (0.0, 0.4, 1.0):
        assert harden(v, torch.tensor(0.5), hardness, out=out) is out
        assert torch.equal(out, harden(v, torch.tensor(0.5), hardness))
