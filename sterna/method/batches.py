"""Samples cut into batches: shuffled for training, in order for evaluation.

Samples are rows of tensors, or of whatever else gives the rows that it is asked for as a tensor: data that is larger
than the memory stays where it is, and only batches are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

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
    def divisible(self) -> bool:
        """Whether the network takes batches of any size."""
        return not self._fixed

    @property
    def batches_per_epoch(self) -> int:
        """Batches that `shuffled` gives in one pass over the samples."""
        return max(1, self.size // self.batch_size)

    def shuffled(self, generator: torch.Generator) -> ShuffledBatches:
        """Batches of equal size without end, each epoch in a new order; what fills no batch is left out of it."""
        return ShuffledBatches(self, generator)

    def in_order(self, rows: Tensor | None = None) -> Iterator[Batch]:
        """Every sample once; or these, (samples,) of indices."""
        for part in (torch.arange(self.size) if rows is None else rows).split(self.batch_size):
            yield self.batch(part)

    def batch(self, rows: Tensor) -> Batch:
        """These samples, at most `batch_size`."""
        count = len(rows)
        if self._fixed and count < self.batch_size:
            rows = rows.repeat(-(-self.batch_size // count))[: self.batch_size]
        target = None if self.target is None else self.target[rows]
        return Batch(tuple(samples[rows] for samples in self.inputs), target, count)


class ShuffledBatches:
    """Batches of equal size without end, each epoch in a new order; what fills no batch is left out of it.

    Args:
        samples: of which they are.
        generator: draws an order at the first batch of each epoch.

    Attributes:
        drawn: batches given of the epoch that has begun.
    """

    def __init__(self, samples: Samples, generator: torch.Generator) -> None:
        self._samples, self._generator = samples, generator
        self._order: Tensor | None = None
        self._epoch = generator.get_state()
        self.drawn = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        if self._order is None or self.drawn == self._samples.batches_per_epoch:
            self._begin_epoch(self._generator.get_state())
        assert self._order is not None
        size = self._samples.batch_size
        rows = self._order[self.drawn * size : (self.drawn + 1) * size]
        self.drawn += 1
        return self._samples.batch(rows)

    @property
    def epoch(self) -> Tensor:
        """State of the generator before it drew the order of the epoch: what it takes to draw it again, uint8."""
        return self._epoch

    def go_to(self, epoch: Tensor, drawn: int) -> None:
        """Go on as from where `epoch` and `drawn` had these values.

        Raises:
            ValueError: they cannot have.
        """
        if not 0 <= drawn <= self._samples.batches_per_epoch:
            raise ValueError(f"{drawn} batches of an epoch were drawn, it has {self._samples.batches_per_epoch}")
        try:
            self._generator.set_state(epoch)
        except (RuntimeError, TypeError) as error:
            raise ValueError(f"no state of a generator: {str(error).splitlines()[0]}") from None
        self._begin_epoch(epoch)
        self.drawn = drawn

    def _begin_epoch(self, epoch: Tensor) -> None:
        self._epoch = epoch
        self._order = torch.randperm(self._samples.size, generator=self._generator)
        self.drawn = 0
