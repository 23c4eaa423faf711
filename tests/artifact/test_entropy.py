"""H(s) against the values of a table computed elsewhere."""

import pytest

from sterna.artifact import entropy_bits_per_weight


@pytest.mark.parametrize(
    ("sparsity", "bits"),
    [(0.0, 1.0), (1 / 3, 1.58496), (0.5, 1.5), (0.6, 1.37095), (0.7, 1.18129), (0.9, 0.56900), (0.95, 0.33640), (1, 0)],
)
def test_entropy(sparsity, bits):
    assert entropy_bits_per_weight(sparsity) == pytest.approx(bits, abs=5e-6)
