"""What is in force when, at the corners that docs/method.md names."""

import pytest

from sterna.method import TernariseConfig
from sterna.method.schedule import landing_step, moment

SCA = TernariseConfig(target_sparsity=0.9, steps=1000)
STE = TernariseConfig(target_sparsity=0.9, steps=1000, method="ste")


def test_homotopy_is_short_and_complete():
    assert moment(SCA, 0).hardness == 0.0
    assert moment(SCA, 75).hardness == pytest.approx(0.5)
    assert moment(SCA, 150).hardness == 1.0


def test_wdr_acts_late_and_grows():
    assert moment(SCA, 500).strength == 0.0
    assert 0 < moment(SCA, 600).strength < moment(SCA, 800).strength
    assert moment(SCA, 850).strength == pytest.approx(SCA.wdr_strength)


def test_straight_through_has_neither_and_follows_the_cubic():
    now = moment(STE, 200)
    assert (now.hardness, now.strength) == (1.0, 0.0)
    assert now.target_share == pytest.approx(1 - (1 - 0.2 / 0.425) ** 3)
    assert moment(STE, 425).target_share == 1.0


def test_landing_leaves_steps_for_recovery_even_in_the_shortest_run():
    assert landing_step(SCA) == 850
    assert landing_step(TernariseConfig(target_sparsity=0.5, steps=2)) == 1
