"""The k-th smallest, by a sample or not."""

import pytest
import torch

from sterna.method.selection import kth_smallest

CASES = {
    "few": torch.rand(500),
    "normal": torch.randn(30_000).abs(),
    "many ties": torch.randint(0, 5, (30_000,)).float(),
    "all equal": torch.ones(20_000),
    "with infinities": torch.cat([torch.rand(20_000), torch.full((9_000,), torch.inf)]),
    "in order": torch.arange(40_000).float(),
    # Each of the sample is large, so that it is wrong of most: 0 elsewhere.
    "a sample that misleads": torch.where(
        torch.arange(1024 * 20) % 20 == 0, 5.0 + torch.rand(1024 * 20), torch.rand(1024 * 20)
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_that_of_a_sort(name):
    values = CASES[name]
    ordered = values.sort().values
    n = len(values)
    for k in sorted(
        {1, 2, 3, n // 100, n // 10, n // 3, n // 2, round(0.7 * n), round(0.9 * n), round(0.97 * n), n - 1, n}
    ):
        assert torch.equal(kth_smallest(values, k), ordered[k - 1]), k


def test_the_smallest_of_none_is_zero():
    assert float(kth_smallest(torch.ones(3), 0)) == 0.0
