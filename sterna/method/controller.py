"""The quantile lock: α as a feedback loop inside one training run.

A weight is zero when |v| ≤ τ = √(α/2) (see `wdr`). Setting τ to the target quantile of |v| makes the rounded network
have exactly the wanted zeros *now*; doing it again every few steps keeps it there while the weights move. No
integrator has to wind up, so there is nothing to tune and nothing to saturate.

| symbol | name | shape |
|---|---|---|
| v | latent weights of all layers, each layer's in a row | (N,) |
| n_l | weights of layer l | (L,), Σ n_l = N |
| g_l | sensitivity of layer l: what a zero there costs (see `sensitivity`) | (L,), mean 1 |
| τ_l | threshold of layer l, τ / g_l | (L,) |

Over the whole network it is g_l·|v| that is ranked, so that a sensitive layer keeps more of its weights. A layer that
lost nearly all of them would pass next to nothing on, normalisation would blow that up and the layers before it would
seem all the more sensitive; so each keeps at least half of what it would keep if all layers had the target.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from sterna.method.selection import kth_smallest
from sterna.method.wdr import alpha_of, threshold_of

LEAST_KEPT_SHARE = 0.5
"""Of what a layer would keep at the target. With a tenth, layers starved each other (docs/log.md, 2026-11-24)."""


class Controller(Protocol):
    """Decides which weights are zero."""

    def threshold(self, v: Tensor, sensitivity: Tensor | None = None) -> Tensor:
        """τ: below it weights are zero, () or (N,)."""
        ...

    def land(self, v: Tensor, sensitivity: Tensor | None = None) -> Tensor:
        """Final codes (N,) in {−1, 0, 1}."""
        ...


class QuantileLock:
    """Keeps the share of zeros of the whole network at its target.

    Args:
        sizes: n_l.
        sparsity: share of zeros among the N weights; round(N·sparsity) of them are zeros.

    Each layer keeps at least `LEAST_KEPT_SHARE` of what it would keep if all layers had the target.
    """

    def __init__(self, sizes: Sequence[int], sparsity: float) -> None:
        self._sizes = tuple(sizes)
        self._zeros = round(sum(sizes) * sparsity)
        self._least_kept = [int(size * (1.0 - sparsity) * LEAST_KEPT_SHARE) for size in sizes]

    def threshold(self, v: Tensor, sensitivity: Tensor | None = None) -> Tensor:
        """τ_l of each weight's layer, (N,)."""
        limits = self._limits(v)
        level = kth_smallest(self._rank(v, sensitivity, limits), self._zeros)
        levels = level.expand_as(limits) if sensitivity is None else level / sensitivity
        return _spread(torch.minimum(levels, limits), self._sizes)

    def land(self, v: Tensor, sensitivity: Tensor | None = None) -> Tensor:
        """Codes (N,) in {−1, 0, 1} with exactly the wanted zeros, ties broken by position."""
        rank = self._rank(v, sensitivity, self._limits(v)).nan_to_num(nan=torch.inf, posinf=torch.inf)
        level = kth_smallest(rank, self._zeros)
        below, at = rank < level, rank == level
        zeros = below | (at & (at.cumsum(0) <= self._zeros - below.sum()))
        return torch.where(zeros, 0.0, torch.where(v < 0, -1.0, 1.0))

    def _limits(self, v: Tensor) -> Tensor:
        """The largest τ_l at which each layer still keeps its least, (L,)."""
        parts = zip(v.abs().split(self._sizes), self._least_kept, strict=True)
        return torch.stack([kth_smallest(part, len(part) - kept) for part, kept in parts])

    def _rank(self, v: Tensor, sensitivity: Tensor | None, limits: Tensor) -> Tensor:
        magnitude = v.abs()
        kept = magnitude > _spread(limits, self._sizes)
        if sensitivity is not None:
            magnitude = magnitude * _spread(sensitivity, self._sizes)
        return magnitude.masked_fill(kept, torch.inf)


class LayerwiseLock:
    """Keeps the share of zeros of every layer at the target: round(n_l·sparsity) of its weights are zeros."""

    def __init__(self, sizes: Sequence[int], sparsity: float) -> None:
        self._sizes = tuple(sizes)
        self._locks = [QuantileLock([size], sparsity) for size in sizes]

    def threshold(self, v: Tensor, sensitivity: Tensor | None = None) -> Tensor:  # noqa: ARG002  no layer competes
        """τ_l of each weight's layer, (N,)."""
        return torch.cat([lock.threshold(part) for lock, part in self._parts(v)])

    def land(self, v: Tensor, sensitivity: Tensor | None = None) -> Tensor:  # noqa: ARG002  no layer competes
        """Codes (N,) in {−1, 0, 1} with exactly the wanted zeros in each layer, ties broken by position."""
        return torch.cat([lock.land(part) for lock, part in self._parts(v)])

    def _parts(self, v: Tensor) -> zip[tuple[QuantileLock, Tensor]]:
        return zip(self._locks, v.split(self._sizes), strict=True)


class FixedAlpha:
    """The paper's own way: α is given, the sparsity comes out as it may."""

    def __init__(self, alpha: float) -> None:
        self._level = threshold_of(alpha)

    def threshold(self, v: Tensor, sensitivity: Tensor | None = None) -> Tensor:  # noqa: ARG002  α is the same everywhere
        """τ = √(α/2), shape ()."""
        return v.new_tensor(self._level)

    def land(self, v: Tensor, sensitivity: Tensor | None = None) -> Tensor:  # noqa: ARG002  α is the same everywhere
        """Codes (N,) in {−1, 0, 1}, rounded at τ."""
        return v.sign() * (v.abs() > self._level)


def mean_alpha(threshold: Tensor) -> float:
    """α of a threshold; the mean over weights where there are several."""
    return alpha_of(float(threshold.square().mean().sqrt()))


def _spread(values: Tensor, sizes: Sequence[int]) -> Tensor:
    """From one value for each layer (L,) to one for each weight (N,)."""
    return torch.cat([value.expand(size) for value, size in zip(values, sizes, strict=True)])
