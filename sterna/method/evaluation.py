"""Run a network over samples: its metric, and its outputs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sterna.method.batches import Batch, Samples
from sterna.method.objective import Objective, distillation

LOW_PRECISION = (torch.float16, torch.bfloat16)


def output_of(network: nn.Module, batch: Batch) -> Tensor:
    """The first output of the network, (batch, …): the one that targets speak of."""
    return first_output(network(*batch.inputs))


def first_output(outputs: Tensor | tuple[Tensor, ...]) -> Tensor:
    """The first of them; in float32 where it has less precision, since losses and metrics are sums of many values."""
    output = outputs[0] if isinstance(outputs, tuple) else outputs
    return output.float() if output.dtype in LOW_PRECISION else output


def evaluate(
    network: nn.Module,
    samples: Samples,
    objective: Objective,
    teacher: nn.Module | None = None,
    *,
    rows: Tensor | None = None,
) -> float:
    """The metric of `objective` over all samples or some, in evaluation mode.

    Args:
        network: left in evaluation mode.
        samples: held-out samples.
        objective: whose metric is measured.
        teacher: the original network in evaluation mode; needed where the objective imitates it.
        rows: which samples, (samples,) of indices; None: all.
    """
    network.eval()
    total = 0.0
    with torch.no_grad():
        for batch in samples.in_order(rows):
            target = target_of(batch, objective, teacher)[: batch.count]
            total += float(objective.score(output_of(network, batch)[: batch.count], target))
    return total / (samples.size if rows is None else len(rows))


def agreement(network: nn.Module, original: nn.Module, samples: Samples, *, logits: bool) -> float:
    """How far two networks say the same, both in evaluation mode.

    Args:
        network: left in evaluation mode.
        original: what it is compared with.
        samples: held-out samples.
        logits: outputs are class logits (batch, classes): the share of samples with the same greatest one. Otherwise
            1 − Σ(y − ŷ)² / Σ(y − ȳ)² over all outputs y of the original, 1 at best, NaN-free: 1 or 0 where it gives
            one value only.
    """
    if logits:
        return evaluate(network, samples, distillation(logits=True), teacher=original)
    squares = residual = total = 0.0
    count = 0
    with torch.no_grad():
        for batch in samples.in_order():
            wanted = output_of(original, batch)[: batch.count].double()
            found = output_of(network.eval(), batch)[: batch.count].double()
            residual += float((wanted - found).square().sum())
            squares += float(wanted.square().sum())
            total += float(wanted.sum())
            count += wanted.numel()
    variance = squares - total * total / max(1, count)
    if variance <= 0.0:
        return 1.0 if residual == 0.0 else 0.0
    return 1.0 - residual / variance


def target_of(batch: Batch, objective: Objective, teacher: nn.Module | None) -> Tensor:
    """What the network should say to a batch: the labels, or what the original network says."""
    if not objective.teacher:
        assert batch.target is not None
        return batch.target
    assert teacher is not None
    with torch.no_grad():
        return output_of(teacher, batch)
