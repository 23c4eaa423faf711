"""What is taken through the ways: a module and what draws its inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

Draw = Callable[[int], tuple[Tensor, ...]]


class NotBuilt(Exception):
    """There is no such network, small: with the reason."""


@dataclass(frozen=True, slots=True)
class Network:
    """One network.

    Attributes:
        kind: its class, for the table.
        module: takes tensors by position and gives a tuple of tensors; in evaluation mode, without dropout.
        draw: its inputs, by the size of their first axis; seeded by it.
    """

    kind: str
    module: nn.Module
    draw: Draw
