"""Run a network over samples: its metric, and its outputs."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from sterna.method.batches import Batch, Samples
from sterna.method.objective import Objective


def output_of(network: nn.Module, batch: Batch) -> Tensor:
    """The first output of the network, (batch, …): the one that targets speak of."""
    output = network(*batch.inputs)
    return cast("Tensor", output[0] if isinstance(output, tuple) else output)


def evaluate(network: nn.Module, samples: Samples, objective: Objective, teacher: nn.Module | None = None) -> float:
    """The metric of `objective` over all samples, in evaluation mode.

    Args:
        network: left in evaluation mode.
        samples: held-out samples.
        objective: whose metric is measured.
        teacher: the original network in evaluation mode; needed where the objective imitates it.
    """
    network.eval()
    total = 0.0
    with torch.no_grad():
        for batch in samples.in_order():
            target = target_of(batch, objective, teacher)[: batch.count]
            total += float(objective.score(output_of(network, batch)[: batch.count], target))
    return total / samples.size


def target_of(batch: Batch, objective: Objective, teacher: nn.Module | None) -> Tensor:
    """What the network should say to a batch: the labels, or what the original network says."""
    if not objective.teacher:
        assert batch.target is not None
        return batch.target
    assert teacher is not None
    with torch.no_grad():
        return output_of(teacher, batch)
