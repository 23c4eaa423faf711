"""The bracket on curves whose solution is known."""

import pytest

from sterna.method.trials import AlphaBracket, Trial


def search(curve, target, *, first=1.0, most=8, tolerance=5e-4):
    bracket = AlphaBracket(target, first)
    while len(bracket.trials) < most and not bracket.met(tolerance):
        alpha = bracket.next_alpha()
        assert 0 < alpha < 2
        bracket.add(Trial(alpha, curve(alpha)))
    return bracket


@pytest.mark.parametrize("target", [0.05, 0.3, 0.7, 0.95, 0.99])
@pytest.mark.parametrize("power", [0.4, 0.6, 1.0, 3.0])
def test_it_closes_in_on_any_rising_curve(target, power):
    bracket = search(lambda alpha: (alpha / 2) ** power, target, most=40)
    assert bracket.met(5e-4)
    assert bracket.best.alpha == pytest.approx(2 * target ** (1 / power), abs=0.05)


def test_a_first_guess_that_fits_needs_one_trial():
    bracket = search(lambda alpha: alpha / 2, 0.5, first=1.0)
    assert [trial.alpha for trial in bracket.trials] == [1.0]


def test_noise_does_not_send_it_outside():
    noisy = iter([0.4, 0.9, 0.3, 0.85, 0.5, 0.7, 0.69, 0.71])
    bracket = search(lambda _: next(noisy), 0.6)
    assert len(bracket.trials) == 8
    assert bracket.best.sparsity in {0.5, 0.69, 0.7}


def test_the_best_is_the_nearest():
    bracket = AlphaBracket(0.7, 1.0)
    assert bracket.add(Trial(1.0, 0.5))
    assert bracket.add(Trial(1.2, 0.8))
    assert not bracket.add(Trial(1.1, 0.59))
    assert bracket.best.alpha == 1.2
