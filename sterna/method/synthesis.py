"""Inputs for a network that came without any: noise that is moved until the network finds it familiar.

A batch normalisation remembers the mean μ and variance σ² of every channel over the training data. Inputs whose own
statistics m and s² agree with these at every such layer look to the network, layer by layer, like its training data
(Yin et al., *Dreaming to Distill*, CVPR 2020, eq. 4; Cai et al., *ZeroQ*, CVPR 2020). So the inputs x go down

    Σ over layers, mean over channels, of  (m − μ)²/σ² + (s²/σ² − 1)²

which weighs channels alike, whatever their size. A network without running statistics tells nothing of its data, and
the noise is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import takewhile

import torch
from torch import Tensor, nn

from sterna.method.normalisation import Listening

_RATE = 0.25  # of Adam, in units of the inputs, which begin with variance 1
_TINY = 1e-5  # of a variance: a channel that never changes has none


def match_statistics(
    network: nn.Module, batch: Iterable[Tensor], *, steps: int = 60, go_on: Callable[[], bool] = lambda: True
) -> list[Tensor]:
    """Move a batch until it gives the network its own running statistics.

    Args:
        network: left in evaluation mode, its parameters unchanged.
        batch: one tensor for each input, (samples, …); floating-point ones are moved, integers stay as they are.
        steps: of Adam.
        go_on: asked before each step; when it says no, the batch stays as far as it has come.

    Returns:
        Tensors like those of `batch`.
    """
    network.eval()
    moved = [tensor.detach().clone().requires_grad_(tensor.is_floating_point()) for tensor in batch]
    free = [tensor for tensor in moved if tensor.requires_grad]
    if not free:
        return moved
    optimiser = torch.optim.Adam(free, lr=_RATE)
    for _ in takewhile(lambda _: go_on(), range(steps)):
        with Listening() as listening:
            network(*moved)
        mismatches = [
            _mismatch(call.x, call.mean, call.variance)
            for call in listening.heard
            if call.mean is not None and call.variance is not None
        ]
        if not mismatches:
            break
        gradients = torch.autograd.grad(torch.stack(mismatches).sum(), free, allow_unused=True)
        for tensor, gradient in zip(free, gradients, strict=True):
            tensor.grad = gradient
        optimiser.step()
    return [tensor.detach() for tensor in moved]


def _mismatch(x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    axes = [axis for axis in range(x.ndim) if axis != 1]
    variance = variance + _TINY
    of_mean = (x.mean(axes) - mean).square() / variance
    of_variance = (x.var(axes, unbiased=False) / variance - 1.0).square()
    return (of_mean + of_variance).mean()
