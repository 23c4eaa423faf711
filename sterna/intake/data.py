"""Data for a network: one array for each of its inputs, perhaps targets, perhaps a held-out part.

| array | shape | |
|---|---|---|
| named as an input | (samples, …) as the input has | required |
| `target` | (samples, …) | without it the original network teaches |
| `eval_` + name of an input | (held-out samples, …) | all of them or none |
| `eval_target` | (held-out samples, …) | where there are `target` and a held-out part |

The first axis is the sample, whatever batch size the network was exported with. `columns.py` says what types become.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sterna.errors import DataCorrupt, DataMismatch
from sterna.graph import Graph, Input
from sterna.graph.check import quoted
from sterna.intake.arrays import StoredArray
from sterna.intake.columns import Column, input_dtype, target_dtype
from sterna.intake.goal import ANY_GOAL, Goal
from sterna.intake.limits import DEFAULT_LIMITS, Limits
from sterna.intake.npz import read_npz
from sterna.intake.safetensors import read_safetensors

Arrays = Mapping[str, NDArray[Any]]
Columns = Mapping[str, Column]
Stored = Mapping[str, StoredArray]

TARGET = "target"
EVAL = "eval_"
_HELD_OUT_SHARE = 0.2
_LEAST_TRAINING = 2
_SAMPLES_HINT = "Give every array of a part the same number of samples, in the same order, along the first axis."


@dataclass(frozen=True, slots=True)
class Data:
    """Checked data; arrays may be read-only views of the file.

    Attributes:
        inputs: for each input of the network its samples, in the type of the input (float32 for bfloat16).
        target: of the same samples, int64 or float32; None where there is none.
        eval_inputs: the held-out samples; None where the file holds none out.
        eval_target: of the held-out samples.
        samples: how many there are, held-out ones not counted.
    """

    inputs: Arrays
    target: NDArray[Any] | None
    eval_inputs: Arrays | None
    eval_target: NDArray[Any] | None
    samples: int


@dataclass(frozen=True, slots=True)
class _Layout:
    """What of the data is what, before any value is looked at."""

    inputs: Columns
    target: Column | None
    eval_inputs: Columns | None
    eval_target: Column | None
    samples: int

    @property
    def columns(self) -> list[Column]:
        targets = [target for target in (self.target, self.eval_target) if target is not None]
        return [*self.inputs.values(), *(self.eval_inputs or {}).values(), *targets]


def read_data(
    path: str | os.PathLike[str], graph: Graph, limits: Limits = DEFAULT_LIMITS, *, goal: Goal = ANY_GOAL
) -> Data:
    """Read the data for a network from an `.npz` or a `.safetensors` file.

    Args:
        path: the file.
        graph: the network.
        limits: what the file may not exceed.
        goal: what the target has to serve.

    Raises:
        DataMismatch: arrays are missing, unknown, too short, or fit neither the inputs nor the goal.
        InvalidSpec: the objective needs a target.
        NonFiniteData: an array holds NaN or infinity.
        DataCorrupt, DataUnsafe, DataTooLarge: as they say.
    """
    layout = _find_layout(_read_arrays(path, limits), graph, goal)
    return Data(
        inputs=_read_all(layout.inputs),
        target=None if layout.target is None else layout.target.read(),
        eval_inputs=None if layout.eval_inputs is None else _read_all(layout.eval_inputs),
        eval_target=None if layout.eval_target is None else layout.eval_target.read(),
        samples=layout.samples,
    )


def check_data(
    path: str | os.PathLike[str], graph: Graph, limits: Limits = DEFAULT_LIMITS, *, goal: Goal = ANY_GOAL
) -> None:
    """Raise what `read_data` would raise, in little memory whatever the data is when decompressed."""
    for column in _find_layout(_read_arrays(path, limits), graph, goal).columns:
        column.check()


def _read_all(columns: Columns) -> dict[str, NDArray[Any]]:
    return {name: column.read() for name, column in columns.items()}


def _find_layout(arrays: Stored, graph: Graph, goal: Goal) -> _Layout:
    _check_names(arrays, graph)
    inputs, samples = _part(arrays, graph, "")
    eval_inputs, held_out = (None, 0)
    if any(name.startswith(EVAL) and name not in _input_names(graph) for name in arrays):
        eval_inputs, held_out = _part(arrays, graph, EVAL)
    _check_enough(samples, split=eval_inputs is None)
    target = _target(arrays, graph, TARGET, samples, goal)
    eval_target = _target(arrays, graph, EVAL + TARGET, held_out, goal)
    goal.check_presence(has_target=target is not None)
    if eval_inputs is not None and (target is None) != (eval_target is None):
        raise DataMismatch(
            "the data has only one of target and eval_target",
            hint="Give targets for both the training and the held-out part, or for neither.",
        )
    return _Layout(inputs, target, eval_inputs, eval_target, samples)


def held_out_samples(samples: int) -> int:
    """How many of the samples are held out where the file holds none out."""
    return max(1, round(samples * _HELD_OUT_SHARE))


def _check_enough(samples: int, *, split: bool) -> None:
    """Refuse data of which a single sample would be left to train on, which says nothing about any other."""
    left = samples - held_out_samples(samples) if split else samples
    if left < _LEAST_TRAINING:
        raise DataMismatch(
            f"of {samples} samples {left} would be left for training, and at least {_LEAST_TRAINING} are needed",
            hint="Give more samples, or the held-out part under names that begin with eval_.",
        )


def _read_arrays(path: str | os.PathLike[str], limits: Limits) -> Stored:
    with Path(path).open("rb") as file:
        head = file.read(9)
    if head[:2] == b"PK":
        return read_npz(path, limits)
    if head[8:9] == b"{":
        return read_safetensors(path, limits)
    found = "neither an .npz nor a .safetensors file" if head else "an empty file"
    raise DataCorrupt(
        f"the data is {found}",
        hint="Write it with numpy.savez(path, name_of_input=array, target=array).",
    )


def _input_names(graph: Graph) -> list[str]:
    return [item.name for item in graph.inputs]


def _check_names(arrays: Stored, graph: Graph) -> None:
    inputs = _input_names(graph)
    allowed = [*inputs, TARGET, *(EVAL + name for name in (*inputs, TARGET))]
    unknown = [name for name in arrays if name not in allowed]
    missing = [name for name in inputs if name not in arrays]
    if unknown or missing:
        found = f"unknown are {_listed(unknown)}" if unknown else ""
        lacking = f"missing are {_listed(missing)}" if missing else ""
        raise DataMismatch(
            f"the arrays do not fit the inputs of the network: {' and '.join(filter(None, (lacking, found)))}",
            hint=f"Name one array after each input ({', '.join(inputs)}), and the labels, if there are any, target.",
        )


def _part(arrays: Stored, graph: Graph, prefix: str) -> tuple[dict[str, Column], int]:
    """The arrays of all inputs under a prefix, and how many samples they have."""
    part: dict[str, Column] = {}
    samples: int | None = None
    for item in graph.inputs:
        name = prefix + item.name
        if name not in arrays:
            raise DataMismatch(
                f"array {quoted(name)} is missing", hint="Hold out samples of every input of the network, or of none."
            )
        part[item.name] = _fitted(name, arrays[name], item)
        found = arrays[name].shape[0]
        if samples is not None and found != samples:
            raise DataMismatch(f"array {quoted(name)} has {found} samples, others have {samples}", hint=_SAMPLES_HINT)
        samples = found
    if not samples:
        raise DataMismatch("the data has no samples", hint="Give at least three: some are held out for the report.")
    return part, samples


def _fitted(name: str, array: StoredArray, item: Input) -> Column:
    if not item.shape:
        raise DataMismatch(
            f"input {quoted(item.name)} of the network has no axes, so no samples can be put along the first",
            hint="Export the network with a batch axis on every input.",
        )
    wanted = item.shape[1:]
    fits = len(array.shape) == len(item.shape) and all(
        size is None or size == found for size, found in zip(wanted, array.shape[1:], strict=True)
    )
    if not fits:
        shape = ", ".join("samples" if axis == 0 else str(size or "any") for axis, size in enumerate(item.shape))
        raise DataMismatch(
            f"array {quoted(name)} has the shape {array.shape}; the network takes ({shape})",
            hint="Shape the samples as the network was given them in training, along the first axis; or export the"
            " network with a dynamic size where it may differ.",
        )
    return Column(name, array, input_dtype(name, array.dtype, item.dtype))


def _target(arrays: Stored, graph: Graph, name: str, samples: int, goal: Goal) -> Column | None:
    if name not in arrays or name in _input_names(graph):
        return None
    array = arrays[name]
    if not array.shape or array.shape[0] != samples:
        found = array.shape[0] if array.shape else "no"
        raise DataMismatch(f"array {quoted(name)} has {found} samples; the inputs have {samples}", hint=_SAMPLES_HINT)
    dtype = target_dtype(name, array.dtype)
    goal.check_target(name, dtype, array.shape)
    return Column(name, array, dtype, goal.classes)


def _listed(names: list[str]) -> str:
    return ", ".join(quoted(name) for name in names[:10]) + (", …" if len(names) > 10 else "")
