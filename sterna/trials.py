"""The search for α from outside: a fixed α for each trial, and a bracket that closes on the target.

It costs as many fine-tunes as trials, which the quantile lock does without; it is here to be compared with, and for
those who want α constant through a training, as the paper has it. Trials come one after the other (`AlphaBracket`) or
in rounds of several at once (`round_of_alphas`). Both work on τ = √(α/2), in which sparsity is nearly linear. No torch:
whoever plans a round trains nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

_LEAST_ALPHA, _MOST_ALPHA = 1e-4, 1.999


@dataclass(frozen=True, slots=True)
class Trial:
    """One α and what it gave.

    Attributes:
        alpha: fixed through the trial.
        sparsity: share of zeros among the landed codes.
    """

    alpha: float
    sparsity: float


class AlphaBracket:
    """Closes in on the α that gives a sparsity, which rises with α.

    It works on τ = √(α/2), in which sparsity is nearly linear, and goes where the line between the two nearest trials
    on either side meets the target; every third trial halves the bracket, so that a bent curve costs no more than
    bisection would.

    Args:
        target: sparsity wanted.
        first: α of the first trial.
    """

    def __init__(self, target: float, first: float) -> None:
        self._target = target
        self._first = min(_MOST_ALPHA, max(_LEAST_ALPHA, first))
        self.trials: list[Trial] = []

    @property
    def best(self) -> Trial:
        """The trial nearest to the target."""
        return min(self.trials, key=self._miss)

    def add(self, trial: Trial) -> bool:
        """Remember a trial; true where none before came nearer."""
        self.trials.append(trial)
        return self.best is trial

    def met(self, tolerance: float) -> bool:
        """Whether a trial is within the tolerance."""
        return bool(self.trials) and self._miss(self.best) <= tolerance

    def next_alpha(self) -> float:
        """α of the next trial."""
        if not self.trials:
            return self._first
        (low, low_at), (high, high_at) = _nearest(self._target, self.trials)
        halving = len(self.trials) % 3 == 2 or high_at <= low_at
        share = 0.5 if halving else (self._target - low_at) / (high_at - low_at)
        return _alpha_of(low + share * (high - low))

    def _miss(self, trial: Trial) -> float:
        return abs(trial.sparsity - self._target)


def round_of_alphas(target: float, trials: Sequence[Trial], count: int) -> tuple[float, ...]:
    """The α of the next round of trials, which know nothing of each other.

    One of them is the best guess: where the line between the nearest trials on either side meets the target. The others
    divide what lies between the guess and either end of the bracket evenly, the longer side first.

    Before the first trial the bracket is all of (0, 1) and the guess is the threshold that a layer of normally
    distributed weights has at the target: with z = Φ⁻¹((1 + t)/2), a share t of |w| lies below σz, those above have the
    mean σ·2φ(z)/(1 − t), and in units of that mean, which latent weights are in, the threshold is

        τ₀ = z·(1 − t) / 2φ(z).

    Args:
        target: t, the sparsity wanted.
        trials: of all rounds so far.
        count: how many are wanted; at least 2.

    Returns:
        α in rising order; fewer than `count` where α can be told apart no further.
    """
    (one, one_at), (other, other_at) = _nearest(target, trials)
    low, high = sorted((one, other))  # noise may have turned the bracket round
    if not trials:
        guess = _normal_threshold(target)
    elif other_at > one_at:
        guess = one + (target - one_at) / (other_at - one_at) * (other - one)
    else:
        guess = (low + high) / 2
    guess = min(high, max(low, guess))
    rest = count - 1
    few, many = rest // 2, rest - rest // 2
    below, above = (many, few) if guess - low > high - guess else (few, many)
    levels = [low + (guess - low) * n / (below + 1) for n in range(1, below + 1)]
    levels += [guess]
    levels += [guess + (high - guess) * n / (above + 1) for n in range(1, above + 1)]
    known = {trial.alpha for trial in trials}
    return tuple(sorted({_alpha_of(level) for level in levels} - known))


def _nearest(target: float, trials: Sequence[Trial]) -> tuple[tuple[float, float], tuple[float, float]]:
    """(τ, sparsity) of the nearest trials below and above the target; the ends of the range where there is none."""
    below = max((t for t in trials if t.sparsity < target), key=_order, default=None)
    above = min((t for t in trials if t.sparsity >= target), key=_order, default=None)
    low = (0.0, 0.0) if below is None else (math.sqrt(below.alpha / 2.0), below.sparsity)
    high = (1.0, 1.0) if above is None else (math.sqrt(above.alpha / 2.0), above.sparsity)
    return low, high


def _normal_threshold(target: float) -> float:
    normal = NormalDist()
    z = normal.inv_cdf((1.0 + target) / 2.0)
    return z * (1.0 - target) / (2.0 * normal.pdf(z))


def _alpha_of(level: float) -> float:
    return min(_MOST_ALPHA, max(_LEAST_ALPHA, 2.0 * level * level))


def _order(trial: Trial) -> tuple[float, float]:
    return trial.sparsity, trial.alpha
