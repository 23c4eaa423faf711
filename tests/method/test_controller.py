"""The quantile lock against sorting, and its exactness where magnitudes tie."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sterna.method.controller import FixedAlpha, LayerwiseLock, QuantileLock, mean_alpha


@given(
    st.lists(st.floats(-3, 3, width=32), min_size=2, max_size=200),
    st.floats(0.01, 0.99),
)
@settings(max_examples=200, deadline=None)
def test_landing_has_the_count_whatever_the_ties(values, target):
    v = torch.tensor(values)
    zeros = round(len(values) * target)
    codes = QuantileLock([len(values)], target).land(v)
    assert int((codes == 0).sum()) == zeros
    assert set(codes.tolist()) <= {-1.0, 0.0, 1.0}
    kept = v[codes != 0].abs()
    if zeros and len(kept):
        assert kept.min() >= v[codes == 0].abs().max()
    assert torch.equal(codes[codes != 0] < 0, v[codes != 0] < 0)


def test_of_equal_weights_the_first_are_zero():
    v = torch.randint(-3, 4, (20_000,), generator=torch.Generator().manual_seed(0)).float()
    codes = QuantileLock([20_000], 0.5).land(v)
    first = v.abs().argsort(stable=True)[:10_000]
    assert torch.equal((codes == 0).nonzero().flatten(), first.sort().values)


def test_threshold_is_the_quantile_of_the_magnitude():
    v = torch.randn(10_001, generator=torch.Generator().manual_seed(1))
    lock = QuantileLock([10_001], 7_000 / 10_001)
    assert set(lock.threshold(v).tolist()) == {np.sort(np.abs(v.numpy()))[6_999]}
    assert int((v.abs() <= lock.threshold(v)).sum()) == 7_000


def test_every_layer_has_its_own_threshold():
    v = torch.cat([torch.rand(1000) * 0.1, torch.rand(500) * 10])
    lock = LayerwiseLock([1000, 500], 0.9)
    zero = v.abs() <= lock.threshold(v)
    assert int(zero[:1000].sum()) == 900
    assert int(zero[1000:].sum()) == 450
    codes = lock.land(v)
    assert int((codes[:1000] == 0).sum()) == 900
    assert int((codes[1000:] == 0).sum()) == 450


def test_no_zeros_wanted_gives_none():
    codes = QuantileLock([3], 0.1).land(torch.tensor([0.0, -1.0, 0.5]))
    assert codes.tolist() == [1.0, -1.0, 1.0]


def test_a_sensitive_layer_keeps_more_and_the_total_stays_exact():
    v = torch.randn(2000, generator=torch.Generator().manual_seed(2))
    lock = QuantileLock([1000, 1000], 0.8)
    even = lock.land(v)
    tilted = lock.land(v, torch.tensor([1.2, 0.8]))
    assert int((even == 0).sum()) == int((tilted == 0).sum()) == 1600
    assert int((tilted[:1000] == 0).sum()) < 760 < int((even[:1000] == 0).sum())
    # The oracle: rank sensitivity times magnitude.
    rank = (v.abs() * torch.tensor([1.2, 0.8]).repeat_interleave(1000)).argsort()
    assert set(rank[:1600].tolist()) == set((tilted == 0).nonzero().flatten().tolist())


def test_the_threshold_says_what_landing_does():
    v = torch.randn(3000, generator=torch.Generator().manual_seed(3))
    lock = QuantileLock([500, 2000, 500], 0.9)
    sensitivity = torch.tensor([2.99, 0.005, 0.005])
    assert torch.equal(v.abs() <= lock.threshold(v, sensitivity), lock.land(v, sensitivity) == 0)


def test_no_layer_loses_everything():
    v = torch.cat([torch.rand(1000) * 1e-3, torch.rand(1000) + 1.0])
    codes = QuantileLock([1000, 1000], 0.5).land(v)
    assert int((codes == 0).sum()) == 1000
    kept = codes[:1000] != 0
    assert int(kept.sum()) == 250  # half of the 500 that it would keep at the target
    assert v[:1000][kept].min() >= v[:1000][~kept].max()


@pytest.mark.parametrize("alpha", [0.1, 0.4, 0.8, 1.0, 1.2, 1.5, 1.8, 1.95])
def test_a_fixed_alpha_zeroes_what_lies_below_its_barrier(alpha):
    v = torch.linspace(-1.2, 1.2, 1001)
    codes = FixedAlpha(alpha).land(v)
    assert torch.equal(codes == 0, v.abs() <= (alpha / 2) ** 0.5)


def test_alpha_is_twice_the_square_of_the_threshold():
    assert mean_alpha(torch.tensor(0.5)) == pytest.approx(0.5)
    assert mean_alpha(torch.tensor([0.5, 1.0])) == pytest.approx(1.25)
