"""The search for α from outside: a fixed α for each trial, and a bracket that closes on the target.

It costs as many fine-tunes as trials, which the quantile lock does without; it is here to be compared with, and for
those who want α constant through a training, as the paper has it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sterna.method.wdr import alpha_of, threshold_of

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
        below = max((t for t in self.trials if t.sparsity < self._target), key=_sparsity, default=None)
        above = min((t for t in self.trials if t.sparsity >= self._target), key=_sparsity, default=None)
        low, low_at = (0.0, 0.0) if below is None else (threshold_of(below.alpha), below.sparsity)
        high, high_at = (1.0, 1.0) if above is None else (threshold_of(above.alpha), above.sparsity)
        halving = len(self.trials) % 3 == 2 or high_at <= low_at
        share = 0.5 if halving else (self._target - low_at) / (high_at - low_at)
        level = low + share * (high - low)
        return min(_MOST_ALPHA, max(_LEAST_ALPHA, alpha_of(level)))

    def _miss(self, trial: Trial) -> float:
        return abs(trial.sparsity - self._target)


def _sparsity(trial: Trial) -> float:
    return trial.sparsity
