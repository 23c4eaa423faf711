"""What a network is trained on, and what is measured of it meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from sterna.method.batches import Samples
from sterna.method.objective import Objective


@dataclass(frozen=True, slots=True)
class Validation:
    """Measures the network from time to time as it would be if it were landed now. The training does not feel it.

    Attributes:
        measure: gives the metric of the network, whose mode it may change.
        every: steps from one time to the next.
    """

    measure: Callable[[nn.Module], float]
    every: int


@dataclass(frozen=True, slots=True)
class Task:
    """What the network is trained on.

    Attributes:
        samples: training samples.
        objective: loss.
        teacher: the original network in evaluation mode, where the objective imitates it.
        seed: chooses the batches and the dropout.
        validation: what to measure of the network in between, for `on_step` to hear of; None: nothing.
    """

    samples: Samples
    objective: Objective
    teacher: nn.Module | None = None
    seed: int = 0
    validation: Validation | None = None
