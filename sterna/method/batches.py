"""Samples in memory, cut into batches: shuffled for training, in order for evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """Some samples.

    Attributes:
        inputs: one tensor for each input of the network, (batch, …).
        target: (batch, …), None where there are no labels.
        count: how many of the rows are samples; the rest fills a batch of fixed size.
    """

    inputs: tuple[Tensor, ...]
    target: Tensor | None
    count: int


class Samples:
    """Inputs and, where there are labels, targets of the same samples.

    Args:
        inputs: one tensor for each input of the network, (samples, …).
        target: (samples, …) or None.
        batch_size: samples in a batch.
        fixed: the network takes only batches of exactly `batch_size`: a short last batch is filled up with repetitions.
    """

    def __init__(
        self, inputs: Sequence[Tensor], target: Tensor | None, *, batch_size: int, fixed: bool = False
    ) -> None:
        self.inputs = tuple(inputs)
        self.target = target
        self.size = len(self.inputs[0])
        self.batch_size = batch_size if fixed else min(batch_size, self.size)
        self._fixed = fixed

    @property
    def batches_per_epoch(self) -> int:
        """Batches that `shuffled` gives in one pass over the samples."""
        return max(1, self.size // self.batch_size)

    def shuffled(self, generator: torch.Generator) -> Iterator[Batch]:
        """Batches of equal size without end, each epoch in a new order; what fills no batch is left out of it."""
        while True:
            order = torch.randperm(self.size, generator=generator)
            for part in range(self.batches_per_epoch):
                yield self._batch(order[part * self.batch_size : (part + 1) * self.batch_size])

    def in_order(self) -> Iterator[Batch]:
        """Every sample once."""
        for rows in torch.arange(self.size).split(self.batch_size):
            yield self._batch(rows)

    def _batch(self, rows: Tensor) -> Batch:
        count = len(rows)
        if self._fixed and count < self.batch_size:
            rows = rows.repeat(-(-self.batch_size // count))[: self.batch_size]
        target = None if self.target is None else self.target[rows]
        return Batch(tuple(tensor[rows] for tensor in self.inputs), target, count)
