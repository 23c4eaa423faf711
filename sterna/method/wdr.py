"""The weight discretization regularizer (WDR) and its algebra.

Deng and Zhang, *Sparsity-Control Ternary Weight Networks*, arXiv 2011.00580 (Neural Networks 145, 2022).

| symbol | name | shape |
|---|---|---|
| v | latent weight in units of its channel's scale | (N,), all ternarised weights of the network in one vector |
| w | latent weight held inside its wells, clip(v, −1, 1) | (N,) |
| α | sparsity controller, useful range (0, 2) | () or one for each group of weights |
| τ | threshold √(α/2): below it a weight is zero | like α |
| λ | strength of WDR in one step | () |

    R(w) = (α − w²)·w²            WDR = Σ R(w)            dR/dw = 2αw − 4w³

R has wells at 0 and at |w| = 1, and its barrier where dR/dw = 0: w² = α/2. Under the flow of WDR alone a weight goes to
zero exactly when |w| < √(α/2), so *α is a threshold*, and choosing the sparsity is choosing α: τ is the quantile of
|v| at the wanted share of zeros, and α = 2τ². The paper writes w = tanh θ; here w = clip(v), which has the same wells
and the same barrier and reaches ±1 instead of approaching it for ever.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def wdr(w: Tensor, alpha: Tensor | float) -> Tensor:
    """Σ (α − w²)·w², the regulariser of the paper.

    Args:
        w: soft ternary weights in [−1, 1], any shape.
        alpha: a number, or a tensor that broadcasts to `w`.

    Returns:
        A scalar tensor.
    """
    square = w * w
    return ((alpha - square) * square).sum()


def wdr_slope(v: Tensor, alpha: Tensor | float) -> Tensor:
    """dR/dv with w = clip(v, −1, 1): 2αw − 4w³ inside the wells, 0 for |v| ≥ 1.

    Args:
        v: latent weights, any shape.
        alpha: a number, or a tensor that broadcasts to `v`.

    Returns:
        A tensor like `v`. Subtracting a small multiple of it moves each weight towards its own well.
    """
    slope = 2.0 * v * (alpha - 2.0 * v * v)
    return slope.mul_(v.abs().lt_(1.0))


def threshold_of(alpha: float) -> float:
    """τ = √(α/2), the barrier between the well at 0 and those at ±1."""
    return math.sqrt(alpha / 2.0)


def alpha_of(threshold: float) -> float:
    """α = 2τ², the controller that puts the barrier at `threshold`."""
    return 2.0 * threshold * threshold


def harden(v: Tensor, threshold: Tensor, hardness: float, *, out: Tensor | None = None) -> Tensor:
    """(1 − κ)·v + κ·T(v), where T(v) = sign(v) where |v| > τ, else 0.

    At κ = 0 this is the full-precision weight; at κ = 1 it is ternary.

    Args:
        v: latent weights (N,).
        threshold: τ, () or (N,).
        hardness: κ in [0, 1].
        out: where to, a tensor like `v`.
    """
    # All in the type of v: between floats and truth values torch takes many times as long.
    survives = torch.abs(v, out=out).gt_(threshold)
    hard = torch.copysign(survives, v, out=survives)
    return hard if hardness >= 1.0 else torch.lerp(v, hard, hardness, out=hard)
