"""Latent weights: every ternarised weight of a network in one vector, and the ternary weights that it stands for.

One vector instead of one tensor a layer makes the quantile of the whole network, the regulariser and the optimiser step
single operations.

| symbol | name | shape |
|---|---|---|
| W_l | weight of layer l as the network uses it | the layer's shape, C_l output channels |
| v | latent weights of all layers, in units of their scale | (N,), N = Σ numel(W_l) |
| ρ | logarithm of the scales of all layers | (C,), C = Σ C_l |
| s_l | exp ρ_l, scale of an output channel | (C_l, 1, …), broadcasts to W_l |
| τ | threshold | () for the whole network, (N,) with one for each layer |
| t | target sparsity | |

W_l = s_l · ((1 − κ)·v + κ·T(v)), where T rounds to {−1, 0, 1} at τ.

A channel starts with the scale that serves it best as a ternary channel at the target: the mean magnitude of the
weights that would survive there (Li, Zhang and Liu, *Ternary Weight Networks*, 2016, eq. 5, at the threshold of the
target). In these units survivors lie around 1, which is where WDR has its wells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sterna.method.config import TernaryLayer
from sterna.method.wdr import harden


@dataclass(frozen=True, slots=True)
class _Extent:
    layer: TernaryLayer
    shape: torch.Size
    dtype: torch.dtype
    scale_shape: tuple[int, ...]
    first: int
    last: int


class LatentWeights(nn.Module):
    """The trainable stand-in for the ternarised weights of a network.

    Args:
        weights: the original weights by name, of any floating dtype; they are copied as float32, and what the network
            runs with has their dtype again.
        layers: what of them is ternarised, and along which axis it has its scales.
        target_sparsity: t, which chooses the first scales.

    Attributes:
        v: latent weights (N,), a parameter.
        log_scale: ρ (C,), a parameter.
    """

    def __init__(self, weights: Mapping[str, Tensor], layers: Sequence[TernaryLayer], target_sparsity: float) -> None:
        super().__init__()
        self._extents: list[_Extent] = []
        latents, scales = [], []
        first = 0
        for layer in layers:
            original = weights[layer.name].detach()
            weight = original.float()
            scale = _survivor_mean(weight, layer.channel_axis, target_sparsity)
            last = first + weight.numel()
            self._extents.append(_Extent(layer, weight.shape, original.dtype, tuple(scale.shape), first, last))
            latents.append((weight / scale).flatten())
            scales.append(scale.flatten())
            first = last
        self.v = nn.Parameter(torch.cat(latents))
        self.log_scale = nn.Parameter(torch.cat(scales).log())

    @property
    def sizes(self) -> list[int]:
        """n_l, the number of weights of each layer, in the order in which they lie in `v`."""
        return [extent.last - extent.first for extent in self._extents]

    def channels(self, flat: Tensor) -> list[Tensor]:
        """Cut (N,) into one matrix for each layer, (C_l, weights of a channel)."""
        return [
            part.view(e.shape).movedim(e.layer.channel_axis, 0).flatten(1)
            for e, part in zip(self._extents, flat.split(self.sizes), strict=True)
        ]

    def join(self, rows: Sequence[Tensor]) -> Tensor:
        """The way back of `channels`."""
        parts = []
        for e, row in zip(self._extents, rows, strict=True):
            axis = e.layer.channel_axis
            moved = (e.shape[axis], *(size for index, size in enumerate(e.shape) if index != axis))
            parts.append(row.reshape(moved).movedim(0, axis).flatten())
        return torch.cat(parts)

    def fit_scales(self, codes: Tensor) -> None:
        """Give each channel the scale at which its codes are nearest to its weights: s·v is kept as it is.

        That is the mean magnitude of its non-zero weights; a channel without any keeps its scale.
        """
        with torch.no_grad():
            kept = [
                ((rows * signs).sum(1), signs.abs().sum(1))
                for rows, signs in zip(self.channels(self.v), self.channels(codes), strict=True)
            ]
            factors = [torch.where(total > 0, total / count.clamp(min=1), 1.0) for total, count in kept]
            self.log_scale.add_(torch.cat(factors).log())
            self.v.div_(
                self.join([f[:, None].expand_as(r) for f, r in zip(factors, self.channels(self.v), strict=True)])
            )

    def anchor(self, threshold: Tensor) -> Tensor:
        """Measure v in units of its survivors' mean again, in place; give τ in the same units.

        Once weights are hard, W = s·T(v) says nothing of the length of v, which drifts outwards: survivors are pushed
        away from the threshold more often than back. WDR has its wells at 0 and ±1, so this is where they belong.

        Args:
            threshold: τ, () or (N,).
        """
        with torch.no_grad():
            kept = self.v.abs() > threshold
            mean = (self.v.abs() * kept).sum() / kept.sum().clamp(min=1)
            mean = torch.where(mean > 0, mean, 1.0)
            self.v.div_(mean)
            return threshold / mean

    def soft_weights(self) -> dict[str, Tensor]:
        """s·clip(v, −1, 1) by name, with its exact gradient."""
        return self._scaled(self.v.clamp(-1.0, 1.0))

    def weights(self, threshold: Tensor, hardness: float) -> dict[str, Tensor]:
        """The weights that the network runs with, by name, differentiable in `v` and `log_scale`.

        Args:
            threshold: τ, () or (N,).
            hardness: κ in [0, 1].
        """
        return self._scaled(harden(self.v, threshold, hardness))

    def weights_of(self, codes: Tensor) -> dict[str, Tensor]:
        """The weights for final codes (N,) in {−1, 0, 1}, differentiable in `log_scale` alone."""
        return self._scaled(codes)

    def codes_by_name(self, codes: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """For each layer its codes, int8 in the layer's shape, and its scales, float32 (C_l, 1, …)."""
        scales = self._scales()
        return {
            e.layer.name: (codes[e.first : e.last].view(e.shape).to(torch.int8), scale.detach().clone())
            for e, scale in zip(self._extents, scales, strict=True)
        }

    def _scales(self) -> list[Tensor]:
        sizes = [torch.Size(e.scale_shape).numel() for e in self._extents]
        parts = self.log_scale.exp().split(sizes)
        return [part.view(e.scale_shape) for e, part in zip(self._extents, parts, strict=True)]

    def _scaled(self, flat: Tensor) -> dict[str, Tensor]:
        parts = flat.split(self.sizes)
        return {
            e.layer.name: (part.view(e.shape) * scale).to(e.dtype)
            for e, part, scale in zip(self._extents, parts, self._scales(), strict=True)
        }


def _survivor_mean(weight: Tensor, channel_axis: int, sparsity: float) -> Tensor:
    """Mean |W| of the largest (1 − t) share of each output channel, shape (C_l, 1, …), never zero."""
    magnitude = weight.abs().movedim(channel_axis, 0).flatten(1)  # (C_l, fan-in)
    survivors = max(1, round(magnitude.shape[1] * (1.0 - sparsity)))
    mean = magnitude.topk(survivors, dim=1).values.mean(dim=1)
    # A channel of zeros has no scale of its own: it takes the layer's, and a layer of zeros takes 1.
    fallback = mean[mean > 0].mean() if bool((mean > 0).any()) else torch.ones(())
    mean = torch.where(mean > 0, mean, fallback)
    shape = [1] * weight.ndim
    shape[channel_axis] = -1
    return mean.view(shape)
