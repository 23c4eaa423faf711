"""What a zero costs, layer by layer.

To second order, setting weight i to zero changes the loss by ½·F_i·v_i², where F_i = E[(∂L/∂v_i)²] is the diagonal of
the Fisher information (LeCun, Denker and Solla, *Optimal Brain Damage*, 1990, with the usual estimate of the
curvature). Ranking weights by √F_i·|v_i| would spare what matters; but F_i of single weights is noise over so few
batches. Its mean over a layer is not, and Adam keeps it already, as its second moment of v. Hence

    g_l = (mean over layer l of F_i)^(p/2), divided by its mean over the layers

with p between 0 (all layers alike) and 1 (the ranking above). p = 0.6·t³ at the target t is the default and was
measured (docs/log.md, 2026-11-24): with p = 1 the ranking trusts an estimate from the beginning of the training too
much, and at few zeros, which are small weights everywhere, it has nothing to gain.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_TINY = 1e-20  # of a squared gradient: keeps a layer without gradient comparable


def layer_sensitivity(squared_gradient: Tensor, sizes: Sequence[int], exponent: float) -> Tensor:
    """g_l (L,), mean 1, all positive.

    Args:
        squared_gradient: running mean of (∂L/∂v)², (N,), up to a common factor.
        sizes: n_l.
        exponent: p in [0, 1].
    """
    fisher = torch.stack([part.mean() for part in squared_gradient.split(tuple(sizes))])
    sensitivity = (fisher + _TINY).pow(exponent / 2.0)
    return sensitivity / sensitivity.mean()
