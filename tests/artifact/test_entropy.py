"""H(s) against the values of a table computed elsewhere."""

import pytest

from sterna.artifact import entropy_bits_per_weight


@pytest.mark.parametrize(
    ("sparsity", "bits"),
    [(0.0, 1.0), (1 / 3, 1.58496), (0.5, 1.5), (0.6, 1.37095), (0.7, 1.18129), (0.9, 0.56900), (0.95, 0.33640), (1, 0)],
)
def test_entropy(sparsity, bits):
    assert entropy_bits_per_weight(sparsity) == pytest.approx(bits, abs=5e-6)


def test_uneven_layers_need_less_than_the_entropy_of_the_overall_share():
    """Why it is a yardstick and no bound: two layers of one size, 50 % and 90 % zeros, against 70 % in all."""
    by_layer = (entropy_bits_per_weight(0.5) + entropy_bits_per_weight(0.9)) / 2
    assert by_layer < entropy_bits_per_weight(0.7) - 0.1
