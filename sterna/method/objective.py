"""What training minimises and what the report measures.

| objective | loss | metric |
|---|---|---|
| classification | cross entropy of the logits (batch, classes) against class indices (batch,) | accuracy |
| regression | mean squared error against the target | mse |
| distillation, logits | KL divergence from the original network's class probabilities | agreement |
| distillation, other outputs | mean squared error against the original network's outputs | mse |

Agreement is the share of samples whose greatest logit is that of the original network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

MetricName = Literal["accuracy", "mse", "agreement"]


@dataclass(frozen=True, slots=True)
class Objective:
    """A loss, a metric, and where the target comes from.

    Attributes:
        loss: (output, target) → scalar, mean over the batch.
        metric: name of what `score` measures.
        score: (output, target) → sum over the batch of the metric, a scalar.
        teacher: the target is the output of the original network.
    """

    loss: Callable[[Tensor, Tensor], Tensor]
    metric: MetricName
    score: Callable[[Tensor, Tensor], Tensor]
    teacher: bool

    @property
    def higher_is_better(self) -> bool:
        """True for accuracy and agreement."""
        return self.metric != "mse"

    def drop(self, baseline: float, ternary: float) -> float:
        """How much was lost, positive when the ternary network is worse."""
        return baseline - ternary if self.higher_is_better else ternary - baseline


def classification() -> Objective:
    """Cross entropy and accuracy against class indices."""
    return Objective(functional.cross_entropy, "accuracy", _hits, teacher=False)


def regression() -> Objective:
    """Mean squared error against the target."""
    return Objective(functional.mse_loss, "mse", _squared_error, teacher=False)


def distillation(*, logits: bool) -> Objective:
    """Imitation of the original network, whose outputs are class logits or anything else."""
    if logits:
        return Objective(_divergence, "agreement", _agreements, teacher=True)
    return Objective(functional.mse_loss, "mse", _squared_error, teacher=True)


def _divergence(output: Tensor, target: Tensor) -> Tensor:
    log_p, log_q = output.log_softmax(-1), target.log_softmax(-1)
    return functional.kl_div(log_p, log_q, reduction="batchmean", log_target=True)


def _hits(output: Tensor, target: Tensor) -> Tensor:
    return (output.argmax(1) == target).sum()


def _agreements(output: Tensor, target: Tensor) -> Tensor:
    return (output.argmax(-1) == target.argmax(-1)).sum()


def _squared_error(output: Tensor, target: Tensor) -> Tensor:
    return torch.square(output - target).flatten(1).mean(1).sum()
