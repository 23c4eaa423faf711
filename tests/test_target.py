"""Counts of zeros against arithmetic by hand."""

import pytest

from sterna.errors import TargetUnreachable
from sterna.target import wanted_zeros


def test_a_target_between_two_counts_is_unreachable():
    assert wanted_zeros(1000, 0.7, 0.0005) == 700
    assert wanted_zeros(1000, 0.7004, 0.0005) == 700
    with pytest.raises(TargetUnreachable, match=r"10 weights can have a sparsity of 0\.300000, not 0\.33"):
        wanted_zeros(10, 0.33, 0.0005)
