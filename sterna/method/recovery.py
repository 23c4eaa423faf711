"""Recovery after landing: normalisation statistics re-estimated on the ternary network.

Rounding shifts what flows through the network, and running means and variances collected on the way are of a network
that no longer exists: the soft accuracy and that of the rounded network differ by tens of points until they are
renewed.
"""

from __future__ import annotations

from itertools import islice

import torch
from torch import nn

from sterna.method.batches import Samples


def renew_statistics(network: nn.Module, samples: Samples, generator: torch.Generator, *, batches: int = 60) -> None:
    """Replace running statistics by their average over training batches, in place.

    A running statistic is recognised by what it does: it is a floating-point buffer that a forward pass in training
    mode changes. The first third of the batches lets the moving averages forget the past; the rest is averaged.

    Args:
        network: left in evaluation mode.
        samples: training samples.
        generator: chooses the batches.
        batches: forward passes.
    """
    before = {name: buffer.clone() for name, buffer in network.named_buffers() if buffer.is_floating_point()}
    if not before:
        return
    sums = {name: torch.zeros_like(buffer) for name, buffer in before.items()}
    network.train()
    with torch.no_grad():
        for index, batch in enumerate(islice(samples.shuffled(generator), batches)):
            network(*batch.inputs)
            if index >= batches // 3:
                for name, buffer in network.named_buffers():
                    if name in sums:
                        sums[name] += buffer
        averaged = batches - batches // 3
        for name, buffer in network.named_buffers():
            if name in sums and not torch.equal(buffer, before[name]):
                buffer.copy_(sums[name] / averaged)
    network.eval()
