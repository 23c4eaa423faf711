"""Latent weights: every ternarised weight of a network in one vector, and the ternary weights that it stands for.

One vector instead of one tensor a layer makes the quantile of the whole network, the regulariser and the optimiser step
single operations.

| symbol | name | shape |
|---|---|---|
| W_l | weight of layer l as the network uses it | the layer's shape, C_l output channels |
| v | latent weights of all layers, in units of their scale | (N,), N = Σ numel(W_l) |
| x | what the network runs with, in these units: (1 − κ)·v + κ·T(v), clip(v) or final codes | (N,) |
| ρ | logarithm of the scales of all layers | (C,), C = Σ C_l |
| s_l | exp ρ_l, scale of an output channel | (C_l, 1, …), broadcasts to W_l |
| τ | threshold | () for the whole network, (N,) with one for each layer |
| t | target sparsity | |

    W_l = s_l·x_l        ∂L/∂v_l = s_l·∂L/∂W_l        ∂L/∂ρ_l = s_l·Σ x_l·∂L/∂W_l, over the weights of a channel

T rounds to {−1, 0, 1} at τ, and the gradient passes it straight through, as if x were v. W_l are the parameters of the
network themselves: `install` writes them before a forward pass, `carry_gradient` takes their gradients after the
backward pass. So nothing of the network is replaced while it runs, and tied weights, recurrent layers and whatever else
holds on to its parameters need no care.

A channel starts with the scale that serves it best as a ternary channel at the target: the mean magnitude of the
weights that would survive there (Li, Zhang and Liu, *Ternary Weight Networks*, 2016, eq. 5, at the threshold of the
target). In these units survivors lie around 1, which is where WDR has its wells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sterna.method.config import TernaryLayer
from sterna.method.wdr import harden


@dataclass(frozen=True, slots=True)
class _Part:
    """One layer: its weight, and its part of each vector, as a view in the layer's shape."""

    layer: TernaryLayer
    weight: Tensor  # W_l, the network's own
    x: Tensor
    scale: Tensor  # s_l
    v_gradient: Tensor
    channel_sums: Tensor  # Σ x_l·∂L/∂W_l, in the shape of s_l
    summed_axes: tuple[int, ...]


class LatentWeights:
    """What is trained in the place of the ternarised weights of a network. No automatic differentiation: see above.

    Args:
        weights: the original weights by name, of any floating dtype: the network's own, where it is to run with these.
        layers: what of them is ternarised, and along which axis it has its scales.
        target_sparsity: t, which chooses the first scales.

    Attributes:
        v: latent weights (N,), float32.
        log_scale: ρ (C,), float32.
    """

    def __init__(self, weights: Mapping[str, Tensor], layers: Sequence[TernaryLayer], target_sparsity: float) -> None:
        originals = [weights[layer.name] for layer in layers]
        scales = [
            _survivor_mean(weight.detach().float(), layer.channel_axis, target_sparsity)
            for layer, weight in zip(layers, originals, strict=True)
        ]
        units = [(weight.detach().float() / scale).flatten() for weight, scale in zip(originals, scales, strict=True)]
        self.sizes = [weight.numel() for weight in originals]
        """n_l, the number of weights of each layer, in the order in which they lie in `v`."""
        self.v = torch.cat(units)
        self.log_scale = torch.cat([scale.flatten() for scale in scales]).log()
        self._x, self._v_gradient = torch.empty_like(self.v), torch.zeros_like(self.v)
        self._scale, self._channel_sums = self.log_scale.exp(), torch.zeros_like(self.log_scale)
        self.v.grad, self.log_scale.grad = self._v_gradient, torch.zeros_like(self.log_scale)
        channels = [scale.numel() for scale in scales]
        cut_v = [vector.split(self.sizes) for vector in (self._x, self._v_gradient)]
        cut_scale = [vector.split(channels) for vector in (self._scale, self._channel_sums)]
        self._parts = [
            _Part(
                layer,
                weight,
                x=x.view(weight.shape),
                scale=own_scale.view(scale.shape),
                v_gradient=v_gradient.view(weight.shape),
                channel_sums=sums.view(scale.shape),
                summed_axes=tuple(axis for axis in range(weight.ndim) if axis != layer.channel_axis),
            )
            for layer, weight, scale, x, v_gradient, own_scale, sums in zip(
                layers, originals, scales, *cut_v, *cut_scale, strict=True
            )
        ]

    def channels(self, flat: Tensor) -> list[Tensor]:
        """Cut (N,) into one matrix for each layer, (C_l, weights of a channel)."""
        return [
            values.view(part.weight.shape).movedim(part.layer.channel_axis, 0).flatten(1)
            for part, values in zip(self._parts, flat.split(self.sizes), strict=True)
        ]

    def join(self, rows: Sequence[Tensor]) -> Tensor:
        """The way back of `channels`."""
        parts = []
        for part, row in zip(self._parts, rows, strict=True):
            axis, shape = part.layer.channel_axis, part.weight.shape
            moved = (shape[axis], *(size for index, size in enumerate(shape) if index != axis))
            parts.append(row.reshape(moved).movedim(0, axis).flatten())
        return torch.cat(parts)

    def fit_scales(self, codes: Tensor) -> None:
        """Give each channel the scale at which its codes are nearest to its weights: s·v is kept as it is.

        That is the mean magnitude of its non-zero weights; a channel without any keeps its scale.
        """
        kept = [
            ((rows * signs).sum(1), signs.abs().sum(1))
            for rows, signs in zip(self.channels(self.v), self.channels(codes), strict=True)
        ]
        factors = [torch.where(total > 0, total / count.clamp(min=1), 1.0) for total, count in kept]
        self.log_scale.add_(torch.cat(factors).log())
        self.v.div_(self.join([f[:, None].expand_as(r) for f, r in zip(factors, self.channels(self.v), strict=True)]))

    def anchor(self, threshold: Tensor) -> Tensor:
        """Measure v in units of its survivors' mean again, in place; give τ in the same units.

        Once weights are hard, W = s·T(v) says nothing of the length of v, which drifts outwards: survivors are pushed
        away from the threshold more often than back. WDR has its wells at 0 and ±1, so this is where they belong.

        Args:
            threshold: τ, () or (N,).
        """
        magnitude = self.v.abs()
        kept = magnitude > threshold
        mean = (magnitude * kept).sum() / kept.sum().clamp(min=1)
        mean = torch.where(mean > 0, mean, 1.0)
        self.v.div_(mean)
        return threshold / mean

    def harden(self, threshold: Tensor, hardness: float) -> None:
        """Run with (1 − κ)·v + κ·T(v) from now on.

        Args:
            threshold: τ, () or (N,).
            hardness: κ in [0, 1].
        """
        harden(self.v, threshold, hardness, out=self._x)

    def soften(self) -> None:
        """Run with clip(v, −1, 1) from now on."""
        torch.clamp(self.v, -1.0, 1.0, out=self._x)

    def fix(self, codes: Tensor) -> None:
        """Run with these codes (N,) in {−1, 0, 1} from now on."""
        self._x.copy_(codes)

    def freeze(self) -> None:
        """Leave v as it is: it gets no gradient any more, the scales do."""
        self.v.grad = None

    def install(self) -> None:
        """W_l ← s_l·x_l, rounded to the type of the weight."""
        torch.exp(self.log_scale, out=self._scale)
        for part in self._parts:
            torch.mul(part.x, part.scale, out=part.weight)

    def forget_gradient(self) -> None:
        """Let the gradients of v, ρ and all W_l be zero."""
        self._v_gradient.zero_()
        assert self.log_scale.grad is not None
        self.log_scale.grad.zero_()
        for part in self._parts:
            part.weight.grad = None

    def carry_gradient(self) -> None:
        """Add to the gradients of v and ρ what those of W_l, which are forgotten, mean for them."""
        for part in self._parts:
            if part.weight.grad is None:  # no part of what was computed
                part.channel_sums.zero_()
                continue
            gradient = part.weight.grad.float()
            if self.v.grad is not None:
                part.v_gradient.add_(gradient * part.scale)
            torch.sum(gradient * part.x, part.summed_axes, keepdim=True, out=part.channel_sums)
            part.weight.grad = None
        assert self.log_scale.grad is not None
        self.log_scale.grad.add_(self._channel_sums * self._scale)

    def codes_by_name(self, codes: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """For each layer its codes, int8 in the layer's shape, and its scales, float32 (C_l, 1, …)."""
        scales = self.log_scale.exp().split([part.scale.numel() for part in self._parts])
        return {
            part.layer.name: (own.view(part.weight.shape).to(torch.int8), scale.view(part.scale.shape).clone())
            for part, own, scale in zip(self._parts, codes.split(self.sizes), scales, strict=True)
        }


def _survivor_mean(weight: Tensor, channel_axis: int, sparsity: float) -> Tensor:
    """Mean |W| of the largest (1 − t) share of each output channel, shape (C_l, 1, …), never zero."""
    magnitude = weight.abs().movedim(channel_axis, 0).flatten(1)  # (C_l, fan-in)
    survivors = max(1, round(magnitude.shape[1] * (1.0 - sparsity)))
    mean = magnitude.topk(survivors, dim=1).values.mean(dim=1)
    # A channel of zeros has no scale of its own: it takes the layer's, and a layer of zeros takes 1.
    fallback = mean[mean > 0].mean() if bool((mean > 0).any()) else mean.new_ones(())
    mean = torch.where(mean > 0, mean, fallback)
    shape = [1] * weight.ndim
    shape[channel_axis] = -1
    return mean.view(shape)
