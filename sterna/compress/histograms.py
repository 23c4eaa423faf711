"""Where the weights of a layer were and where they went: two histograms over the same bins, small enough to tell."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from api_schemas import WeightHistogram
from sterna.artifact import TernaryTensor

BINS: Final = 41
"""Odd, so that zero lies in the middle of a bin."""
_SHARE_WITHIN: Final = 0.999
"""Of the original weights; few far ones would squeeze all others into the bin at zero."""


def weight_histogram(before: NDArray[Any], after: TernaryTensor) -> WeightHistogram:
    """Count the weights of a layer before and after.

    Args:
        before: the original weights, finite, in any shape.
        after: the same layer, ternary.
    """
    sizes = np.abs(before, dtype=np.float32).ravel()
    limit = float(max(np.quantile(sizes, _SHARE_WITHIN, method="lower"), np.abs(after.scale).max())) or 1.0
    weights = after.codes.size
    return WeightHistogram(
        low=-limit,
        high=limit,
        before=_counts(before, limit),
        after=_counts(after.dense(), limit),
        negative=np.count_nonzero(after.codes < 0) / weights,
        positive=np.count_nonzero(after.codes > 0) / weights,
    )


def _counts(weights: NDArray[Any], limit: float) -> tuple[int, ...]:
    """How many lie in each bin; what lies beyond the limit is counted in the outermost."""
    counts, _ = np.histogram(np.clip(weights, -limit, limit), bins=BINS, range=(-limit, limit))
    return tuple(int(count) for count in counts)
