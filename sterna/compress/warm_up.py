"""What a job would otherwise wait for: torch loads much of itself when it is first used."""

from __future__ import annotations

import torch
from torch import nn

from sterna.method import Samples, Task, TernariseConfig, TernaryLayer, regression, ternarise


def warm_up() -> None:
    """Train a network of four weights for two steps on the processor, so that what a training loads is there.

    The state of torch's generator is as before; no GPU is touched.
    """
    before = torch.get_rng_state()
    x = torch.ones(2, 2)
    task = Task(Samples([x], x, batch_size=2), regression())
    ternarise(nn.Sequential(nn.Linear(2, 2)), [TernaryLayer("0.weight")], task, TernariseConfig(0.5, steps=2))
    torch.set_rng_state(before)
