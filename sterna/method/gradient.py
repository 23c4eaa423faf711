"""The gradient of a batch: taken at once or, where memory does not suffice, in parts that are added up.

    ∇ (1/B) Σ_b loss_b  =  Σ over parts k of (n_k / B) · ∇ (mean loss of part k)

A loss is a mean over its batch, so parts weighted by their share n_k/B give the gradient of the whole batch, up to
rounding, with the memory of one part. Two layers see the difference: batch normalisation takes its statistics from a
part, and dropout draws for each part anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from sterna.errors import OutOfMemory
from sterna.method.batches import Batch

PARTS = 4
_CPU_WORDS = "can't allocate memory"


class BatchGradient:
    """Adds gradients of whole batches to the parameters.

    A batch that memory does not suffice for is tried once more in `PARTS` parts, and so is every batch after it.

    Args:
        clear: forgets what gradients there are.
        collect: called after each backward pass, to do something with what it left.
        divisible: whether the network takes batches of any size.
        micro_batch: samples taken at once; None: the whole batch, as long as memory suffices.

    Attributes:
        micro_batch: samples taken at once now.
    """

    def __init__(
        self,
        clear: Callable[[], None],
        collect: Callable[[], None] = lambda: None,
        *,
        divisible: bool,
        micro_batch: int | None = None,
    ) -> None:
        self._clear, self._collect, self._divisible = clear, collect, divisible
        self.micro_batch = micro_batch

    def take(self, batch: Batch, loss_of: Callable[[Batch], Tensor]) -> Tensor:
        """Add the gradient of the mean loss over a batch, which is returned, detached, ().

        Args:
            batch: of samples alone.
            loss_of: from samples to their mean loss; called anew for each part.

        Raises:
            OutOfMemory: memory does not suffice for a part either, or the network takes no parts.
        """
        self._clear()
        size = len(batch.inputs[0])
        if self.micro_batch is None:
            loss = _unless_starved(lambda: self._whole(batch, loss_of))
            if loss is not None:
                return loss
            if not self._divisible or size == 1:
                raise OutOfMemory(
                    f"a training step over {size} samples, which the network takes at once, needs more memory than"
                    " there is",
                    hint="Export the network with a dynamic batch axis or a smaller batch, or use a larger worker.",
                )
            self.micro_batch = -(-size // PARTS)
            self._clear()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()  # or what the first try left in pieces is not one piece for the second
        part = self.micro_batch
        loss = _unless_starved(lambda: self._in_parts(batch, loss_of, part))
        if loss is None:
            raise OutOfMemory(
                f"a training step needs more memory than there is, even over {part} of its {size} samples at a time",
                hint="Use a worker with more memory, or a smaller network or smaller samples.",
            )
        return loss

    def _whole(self, batch: Batch, loss_of: Callable[[Batch], Tensor]) -> Tensor:
        loss = loss_of(batch)
        loss.backward()
        self._collect()
        return loss.detach()

    def _in_parts(self, batch: Batch, loss_of: Callable[[Batch], Tensor], size: int) -> Tensor:
        total = torch.zeros((), device=batch.inputs[0].device)
        for part, share in parts_of(batch, size):
            loss = loss_of(part) * share
            loss.backward()
            self._collect()
            total += loss.detach()
        return total


def parts_of(batch: Batch, size: int) -> Iterator[tuple[Batch, float]]:
    """Cut a batch into parts of at most `size` samples, each with its share of the samples."""
    whole = len(batch.inputs[0])
    for first in range(0, whole, size):
        rows = slice(first, first + size)
        inputs = tuple(tensor[rows] for tensor in batch.inputs)
        target = None if batch.target is None else batch.target[rows]
        count = len(inputs[0])
        yield Batch(inputs, target, count), count / whole


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on whatever device: on a CPU torch says so in words alone."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and _CPU_WORDS in str(error)
    )


def _unless_starved(work: Callable[[], Tensor]) -> Tensor | None:
    """What comes of it, None where memory did not suffice.

    The error is dropped before anything else is tried: its traceback holds all that the first try had in memory.
    """
    try:
        return work()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    return None
