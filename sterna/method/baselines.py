r"""Thresholds of other methods, to compare with: their sparsity comes out as it may.

| method | zero where | scale | source |
|---|---|---|---|
| `twn` | \|v\| ≤ 0.7·mean\|v\| of the channel | mean of what survives, renewed with the threshold | Li, Zhang and Liu, *Ternary Weight Networks*, 2016, eq. 5 and 6 |
| `ttq` | \|v\| ≤ 0.05·max\|v\| of the channel | learned | Zhu, Han, Mao and Dally, *Trained Ternary Quantization*, 2017, section 4 |

Both are trained straight through, with hard weights from the first step, as they were published. TTQ learns one scale
for the positive and one for the negative weights of a layer; here there is one for each output channel, as in every
other method of this package, since that is what the artifact stores.
"""  # noqa: E501  a table does not wrap

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Channels = Callable[[Tensor], list[Tensor]]
"""Cuts (N,) into one matrix for each layer, (C_l, fan-in)."""

TWN_FACTOR = 0.7
TTQ_FACTOR = 0.05


class ChannelThreshold:
    """Thresholds in proportion to a channel's mean or largest magnitude.

    Args:
        factor: of that magnitude.
        magnitude: from (C_l, fan-in) of |v| to (C_l,).
        channels: cuts (N,) into channels.
        join: the way back, from (C_l, fan-in) each to (N,).
    """

    def __init__(
        self,
        factor: float,
        magnitude: Callable[[Tensor], Tensor],
        channels: Channels,
        join: Callable[[list[Tensor]], Tensor],
    ) -> None:
        self._factor, self._magnitude, self._channels, self._join = factor, magnitude, channels, join

    def threshold(self, v: Tensor, sensitivity: Tensor | None = None) -> Tensor:  # noqa: ARG002  not of this method
        """τ of each weight's channel, (N,)."""
        rows = self._channels(v.abs())
        return self._join([(self._factor * self._magnitude(row))[:, None].expand_as(row) for row in rows])

    def land(self, v: Tensor, sensitivity: Tensor | None = None) -> Tensor:  # noqa: ARG002  not of this method
        """Codes (N,) in {−1, 0, 1}, rounded at τ."""
        return v.sign() * (v.abs() > self.threshold(v))


def mean_magnitude(rows: Tensor) -> Tensor:
    """(C, fan-in) → (C,)."""
    return rows.mean(dim=1)


def largest_magnitude(rows: Tensor) -> Tensor:
    """(C, fan-in) → (C,)."""
    return torch.amax(rows, dim=1)
