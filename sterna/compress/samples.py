"""From checked arrays to training and held-out samples; from nothing to synthesised ones.

Held out is what the file names `eval_…`; without it a seeded fifth of the samples. Arrays stay where they are, mapped
from the file where they are large; a batch reads its own rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sterna.graph import Graph, Input, TensorRef, ValueRef
from sterna.intake import Data
from sterna.intake.data import held_out_samples
from sterna.method import Rows, Samples, match_statistics
from sterna.module.operators import DTYPES

_CPU = torch.device("cpu")
BATCH_SIZE = 64
SYNTHETIC_SAMPLES = 2048

Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a network is trained on and what it is measured on; no sample is in both.

    Attributes:
        synthetic: there was no data; all of it is noise.
    """

    train: Samples
    held_out: Samples
    synthetic: bool = False

    def on(self, device: torch.device) -> TrainingData:
        """The same samples; their batches lie on that device."""
        return TrainingData(_samples_on(self.train, device), _samples_on(self.held_out, device), self.synthetic)

    def familiarise(self, module: nn.Module, go_on: Callable[[], bool]) -> None:
        """Move the inputs, in place, to where the module's own running statistics say that its data was."""
        for part in (self.train, self.held_out):
            batches = [(match_statistics(module, b.inputs, go_on=go_on), b.count) for b in part.in_order()]
            columns = zip(*([tensor[:count] for tensor in moved] for moved, count in batches), strict=True)
            part.inputs = tuple(torch.cat(column) for column in columns)


def load_samples(graph: Graph, data: Data | None, *, seed: int) -> TrainingData:
    """Split `data` (or synthesised inputs where there is none) into training and held-out samples."""
    synthetic = data is None
    if data is None:
        data = synthesise(graph, seed=seed)
    if data.eval_inputs is not None:
        return TrainingData(
            _samples(graph, data.inputs, data.target), _samples(graph, data.eval_inputs, data.eval_target)
        )
    held_out = held_out_samples(data.samples)
    order = np.random.default_rng(seed).permutation(data.samples)
    train, held = (
        _samples(graph, data.inputs, data.target, np.sort(rows)) for rows in (order[held_out:], order[:held_out])
    )
    return TrainingData(train, held, synthetic)


def synthesise(graph: Graph, *, seed: int) -> Data:
    """Inputs where none were given: standard normal values, and for integers uniform indices into their table."""
    generator = np.random.default_rng(seed)
    fixed = fixed_batch(graph)
    samples = SYNTHETIC_SAMPLES if fixed is None else -(-SYNTHETIC_SAMPLES // fixed) * fixed
    inputs = {item.name: _synthetic(graph, item, samples, generator) for item in graph.inputs}
    return Data(inputs=inputs, target=None, eval_inputs=None, eval_target=None, samples=samples)


def fixed_batch(graph: Graph) -> int | None:
    """The batch size that the network was exported with, None where any will do."""
    return next((item.shape[0] for item in graph.inputs if item.shape and item.shape[0] is not None), None)


class StoredRows:
    """Some rows of an array, read when they are asked for.

    Args:
        array: (all rows, …), perhaps mapped and read-only.
        dtype: of the tensors that it gives.
        rows: which rows, (samples,); None: all of them.
        device: where those tensors lie.
    """

    def __init__(
        self,
        array: NDArray[np.generic],
        dtype: torch.dtype,
        rows: NDArray[np.int64] | None = None,
        device: torch.device = _CPU,
    ) -> None:
        self.dtype = dtype
        self._device = device
        self._array = array
        self._rows = rows

    @property
    def shape(self) -> tuple[int, ...]:
        """(samples, …)."""
        return (len(self), *self._array.shape[1:])

    def __len__(self) -> int:
        """How many samples there are."""
        return len(self._array if self._rows is None else self._rows)

    def __getitem__(self, rows: Tensor) -> Tensor:
        """These samples, copied; (rows, …)."""
        wanted = rows.numpy() if self._rows is None else self._rows[rows.numpy()]
        return torch.from_numpy(self._array[wanted]).to(self._device, self.dtype)

    def on(self, device: torch.device) -> StoredRows:
        """The same samples, given as tensors on that device."""
        return StoredRows(self._array, self.dtype, self._rows, device)


def _samples_on(samples: Samples, device: torch.device) -> Samples:
    inputs = [_rows_on(rows, device) for rows in samples.inputs]
    target = None if samples.target is None else _rows_on(samples.target, device)
    return Samples(inputs, target, batch_size=samples.batch_size, fixed=not samples.divisible)


def _rows_on(rows: Rows, device: torch.device) -> Rows:
    assert isinstance(rows, StoredRows | Tensor)
    return rows.on(device) if isinstance(rows, StoredRows) else rows.to(device)


def _samples(
    graph: Graph, inputs: Arrays, target: NDArray[np.generic] | None, rows: NDArray[np.int64] | None = None
) -> Samples:
    fixed = fixed_batch(graph)
    return Samples(
        [StoredRows(inputs[item.name], DTYPES[item.dtype], rows) for item in graph.inputs],
        None if target is None else StoredRows(target, _TARGETS[target.dtype.name], rows),
        batch_size=BATCH_SIZE if fixed is None else fixed,
        fixed=fixed is not None,
    )


def _synthetic(graph: Graph, item: Input, samples: int, generator: np.random.Generator) -> NDArray[np.generic]:
    shape = (samples, *(16 if size is None else size for size in item.shape[1:]))
    if item.dtype in _FLOATING:
        return generator.standard_normal(shape, dtype=np.float32)
    return generator.integers(0, _rows(graph, item.name), shape)


def _rows(graph: Graph, name: str) -> int:
    """How many values the indices of an input may have: the rows of the smallest table they are looked up in."""
    tables = [
        graph.tensors[table.name].shape[0]
        for node in graph.nodes
        for indices in (node.arguments.get("indices"), node.arguments.get("index"))
        for table in node.arguments.values()
        if indices == ValueRef(name) and isinstance(table, TensorRef)
    ]
    return min(tables, default=2)  # looked up nowhere: a mask, or a kind of segment


_TARGETS = {"int64": torch.int64, "float32": torch.float32}
_FLOATING = ("float16", "bfloat16", "float32", "float64")
