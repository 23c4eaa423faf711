"""The quantile lock: α as a feedback loop inside one training run.

A weight is zero when |v| ≤ τ = √(α/2) (see `wdr`). Setting τ to the target quantile of |v| makes the rounded network
have exactly the wanted zeros *now*; doing it again every few steps keeps it there while the weights move. No
integrator has to wind up, so there is nothing to tune and nothing to saturate.

With granularity `global` there is one α for the network; with `layer` each layer has its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sterna.method.wdr import alpha_of, threshold_of


class QuantileLock:
    """Keeps the share of zeros of each group of latent weights at its target.

    Args:
        groups: first and last + 1 index in v of each group; groups cover v in order.
        zeros: how many weights of each group shall be zero.
        size: N.
    """

    def __init__(self, groups: Sequence[tuple[int, int]], zeros: Sequence[int], size: int) -> None:
        self._groups = tuple(groups)
        self._zeros = tuple(zeros)
        self._size = size

    @property
    def zeros(self) -> int:
        """How many weights in all shall be zero."""
        return sum(self._zeros)

    def threshold(self, v: Tensor) -> Tensor:
        """τ at which each group has its zeros: () for one group, (N,) for several."""
        levels = [
            _smallest(v[first:last].abs(), count)
            for (first, last), count in zip(self._groups, self._zeros, strict=True)
        ]
        if len(levels) == 1:
            return levels[0]
        sizes = torch.tensor([last - first for first, last in self._groups], device=v.device)
        return torch.stack(levels).repeat_interleave(sizes, output_size=self._size)

    def land(self, v: Tensor) -> Tensor:
        """Codes (N,) in {−1, 0, 1} with exactly the wanted zeros, ties of |v| broken by position."""
        codes = torch.where(v < 0, -1.0, 1.0)
        for (first, last), count in zip(self._groups, self._zeros, strict=True):
            order = v[first:last].abs().argsort(stable=True)
            codes[first:last][order[:count]] = 0.0
        return codes


class FixedAlpha:
    """The paper's own way: α is given, the sparsity comes out as it may."""

    def __init__(self, alpha: float) -> None:
        self._level = threshold_of(alpha)

    def threshold(self, v: Tensor) -> Tensor:
        """τ = √(α/2), shape ()."""
        return v.new_tensor(self._level)

    def land(self, v: Tensor) -> Tensor:
        """Codes (N,) in {−1, 0, 1}, rounded at τ."""
        return v.sign() * (v.abs() > self._level)


def mean_alpha(threshold: Tensor) -> float:
    """α of a threshold; the mean over weights where there are several."""
    return alpha_of(float(threshold.square().mean().sqrt()))


def _smallest(magnitude: Tensor, count: int) -> Tensor:
    """The value of the `count`-th smallest element, 0 for none."""
    return magnitude.kthvalue(count).values if count else magnitude.new_zeros(())
