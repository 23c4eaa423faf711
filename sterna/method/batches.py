"""Samples cut into batches: shuffled for training, in order for evaluation.

Samples are rows of tensors, or of whatever else gives the rows that it is asked for as a tensor: data that is larger
than the memory stays where it is, and only batches are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Rows(Protocol):
    """Samples along the first axis; tensors are such."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(samples, …)."""

    @property
    def dtype(self) -> torch.dtype:
        """Of the tensors that it gives."""

    def __len__(self) -> int:
        """How many samples there are."""

    def __getitem__(self, rows: Tensor, /) -> Tensor:
        """These samples, (rows, …)."""


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
        inputs: for each input of the network its samples, (samples, …).
        target: (samples, …) or None.
        batch_size: samples in a batch.
        fixed: the network takes only batches of exactly `batch_size`: a short last batch is filled up with repetitions.
    """

    def __init__(self, inputs: Sequence[Rows], target: Rows | None, *, batch_size: int, fixed: bool = False) -> None:
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
        return Batch(tuple(samples[rows] for samples in self.inputs), target, count)
