"""The bracket, and the rounds, on curves whose solution is known."""

import statistics

import pytest

from sterna.trials import AlphaBracket, Trial, round_of_alphas


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


def search_in_rounds(curve, target, *, count, most=12, tolerance=5e-4):
    trials, rounds = [], 0
    while rounds < most and not any(abs(trial.sparsity - target) <= tolerance for trial in trials):
        alphas = round_of_alphas(target, trials, count)
        assert all(0 < alpha < 2 for alpha in alphas)
        assert list(alphas) == sorted(set(alphas))
        trials += [Trial(alpha, curve(alpha)) for alpha in alphas]
        rounds += 1
    return trials, rounds


@pytest.mark.parametrize("target", [0.05, 0.3, 0.7, 0.95, 0.99])
@pytest.mark.parametrize("power", [0.4, 0.6, 1.0, 3.0])
@pytest.mark.parametrize("count", [2, 3, 8])
def test_rounds_close_in_on_any_rising_curve(target, power, count):
    trials, rounds = search_in_rounds(lambda alpha: (alpha / 2) ** power, target, count=count)
    assert min(abs(trial.sparsity - target) for trial in trials) <= 5e-4
    assert len(trials) == rounds * count


def test_three_rounds_of_three_are_enough_for_a_curve_that_is_nearly_straight():
    for target in (0.3, 0.6, 0.9):
        _, rounds = search_in_rounds(lambda alpha: (alpha / 2) ** 0.55, target, count=3, tolerance=2e-3)
        assert rounds <= 3


def test_a_first_round_has_the_threshold_of_normally_distributed_weights():
    drawn = sorted(abs(w) for w in statistics.NormalDist().samples(200_000, seed=1))
    first = int(0.7 * len(drawn))
    level = drawn[first] / statistics.fmean(drawn[first:])
    alphas = round_of_alphas(0.7, (), 3)
    assert min(abs(alpha - 2 * level**2) for alpha in alphas) < 0.02
    assert alphas[0] < 2 * level**2 < alphas[2]


def test_a_round_stays_between_the_nearest_trials_and_has_the_point_of_the_secant():
    low, high = Trial(0.5, 0.4), Trial(0.98, 0.7)  # at thresholds of 0.5 and 0.7
    for count in (2, 3, 4):
        alphas = round_of_alphas(0.6, [Trial(0.1, 0.1), low, high, Trial(1.9, 0.99)], count)
        assert len(alphas) == count
        assert low.alpha < alphas[0]
        assert alphas[-1] < high.alpha
        assert any(alpha == pytest.approx(2 * (0.5 + 0.2 * 2 / 3) ** 2) for alpha in alphas)


def test_trials_on_one_side_leave_the_other_end_of_the_range():
    assert all(alpha < 0.5 for alpha in round_of_alphas(0.2, [Trial(0.5, 0.6), Trial(1.0, 0.9)], 3))
    assert all(alpha > 1.0 for alpha in round_of_alphas(0.95, [Trial(0.5, 0.6), Trial(1.0, 0.9)], 3))


def test_noise_turns_no_round_outside_and_equal_trials_end_it():
    alphas = round_of_alphas(0.6, [Trial(0.6, 0.55), Trial(0.5, 0.65)], 3)
    assert 0.5 < alphas[0] < alphas[-1] < 0.6
    assert round_of_alphas(0.6, [Trial(0.5, 0.55), Trial(0.5, 0.65)], 3) == ()
