"""Data for a network: one array for each of its inputs, perhaps targets, perhaps a held-out part.

| array | shape | |
|---|---|---|
| named as an input | (samples, …) as the input has | required |
| `target` | (samples, …) | without it the original network teaches |
| `eval_` + name of an input | (held-out samples, …) | all of them or none |
| `eval_target` | (held-out samples, …) | where there are `target` and a held-out part |

The first axis is the sample, whatever batch size the network was exported with. Floating arrays are converted to the
input's floating type, integers to its integer type where every integer fits; floats and integers are not exchanged,
because that would guess at a scale.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sterna.errors import DataCorrupt, DataMismatch, NonFiniteData
from sterna.graph import DTYPES, FLOATING, Graph, Input
from sterna.graph.check import quoted
from sterna.intake.finite import is_finite
from sterna.intake.limits import DEFAULT_LIMITS, Limits
from sterna.intake.npz import read_npz
from sterna.intake.safetensors import read_safetensors

Arrays = Mapping[str, NDArray[Any]]

TARGET = "target"
EVAL = "eval_"


@dataclass(frozen=True, slots=True)
class Data:
    """Checked data; arrays may be read-only views of the file.

    Attributes:
        inputs: for each input of the network its samples, in the type of the input (float32 for bfloat16).
        target: of the same samples; None where there is none.
        eval_inputs: the held-out samples; None where the file holds none out.
        eval_target: of the held-out samples.
        samples: how many there are, held-out ones not counted.
    """

    inputs: Arrays
    target: NDArray[Any] | None
    eval_inputs: Arrays | None
    eval_target: NDArray[Any] | None
    samples: int


def read_data(path: str | os.PathLike[str], graph: Graph, limits: Limits = DEFAULT_LIMITS) -> Data:
    """Read the data for a network from an `.npz` or a `.safetensors` file.

    Raises:
        DataMismatch: arrays are missing, unknown, or do not fit the inputs; the message names the array.
        NonFiniteData: an array holds NaN or infinity.
        DataCorrupt, DataUnsafe, DataTooLarge: as they say.
    """
    arrays = _read_arrays(path, limits)
    _check_names(arrays, graph)
    inputs, samples = _part(arrays, graph, "")
    eval_inputs, held_out = (None, 0)
    if any(name.startswith(EVAL) and name not in _input_names(graph) for name in arrays):
        eval_inputs, held_out = _part(arrays, graph, EVAL)
    target = _target(arrays, graph, TARGET, samples)
    eval_target = _target(arrays, graph, EVAL + TARGET, held_out)
    if eval_inputs is not None and (target is None) != (eval_target is None):
        raise DataMismatch(
            "the data has only one of target and eval_target",
            hint="Give targets for both the training and the held-out part, or for neither.",
        )
    return Data(inputs, target, eval_inputs, eval_target, samples)


def _read_arrays(path: str | os.PathLike[str], limits: Limits) -> dict[str, NDArray[Any]]:
    with Path(path).open("rb") as file:
        head = file.read(9)
    if head[:2] == b"PK":
        return read_npz(path, limits)
    if head[8:9] == b"{":
        return read_safetensors(path, limits)
    raise DataCorrupt(
        "the data is neither an .npz nor a .safetensors file",
        hint="Write it with numpy.savez(path, name_of_input=array, target=array).",
    )


def _input_names(graph: Graph) -> list[str]:
    return [item.name for item in graph.inputs]


def _check_names(arrays: Arrays, graph: Graph) -> None:
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


def _part(arrays: Arrays, graph: Graph, prefix: str) -> tuple[dict[str, NDArray[Any]], int]:
    """The arrays of all inputs under a prefix, and how many samples they have."""
    part: dict[str, NDArray[Any]] = {}
    samples: int | None = None
    for item in graph.inputs:
        name = prefix + item.name
        if name not in arrays:
            raise DataMismatch(
                f"array {quoted(name)} is missing", hint="Hold out samples of every input of the network, or of none."
            )
        array = _fitted(name, arrays[name], item)
        if samples is not None and len(array) != samples:
            raise DataMismatch(f"array {quoted(name)} has {len(array)} samples, others have {samples}")
        samples = len(array)
        part[item.name] = array
    if not samples:
        raise DataMismatch("the data has no samples", hint="Give at least two.")
    return part, samples


def _fitted(name: str, array: NDArray[Any], item: Input) -> NDArray[Any]:
    if not item.shape:
        raise DataMismatch(
            f"input {quoted(item.name)} of the network has no axes, so no samples can be put along the first",
            hint="Export the network with a batch axis on every input.",
        )
    wanted = item.shape[1:]
    fits = array.ndim == len(item.shape) and all(
        size is None or size == found for size, found in zip(wanted, array.shape[1:], strict=True)
    )
    if not fits:
        shape = ", ".join("samples" if axis == 0 else str(size or "any") for axis, size in enumerate(item.shape))
        raise DataMismatch(f"array {quoted(name)} has the shape {array.shape}; the network takes ({shape})")
    _check_finite(name, array)
    return _converted(name, array, item.dtype)


def _converted(name: str, array: NDArray[Any], dtype: str) -> NDArray[Any]:
    wanted = np.dtype("<f4") if dtype == "bfloat16" else DTYPES[dtype]
    both_floating = array.dtype.kind == "f" and dtype in FLOATING
    both_whole = array.dtype.kind in "iu" and wanted.kind in "iu" and np.can_cast(array.dtype, wanted, "safe")
    if not (array.dtype == wanted or both_floating or both_whole):
        raise DataMismatch(
            f"array {quoted(name)} is {array.dtype}; the network takes {dtype}",
            hint=f"Convert it, scaled as in training, with .astype(numpy.{wanted.name}).",
        )
    if array.dtype == wanted:
        return array
    with np.errstate(over="ignore"):
        converted = array.astype(wanted)
    _check_finite(name, converted)
    return converted


def _target(arrays: Arrays, graph: Graph, name: str, samples: int) -> NDArray[Any] | None:
    if name not in arrays or name in _input_names(graph):
        return None
    array = arrays[name]
    if array.ndim == 0 or len(array) != samples:
        found = len(array) if array.ndim else "no"
        raise DataMismatch(f"array {quoted(name)} has {found} samples; the inputs have {samples}")
    _check_finite(name, array)
    return array


def _check_finite(name: str, array: NDArray[Any]) -> None:
    if not is_finite(array):
        raise NonFiniteData(f"array {quoted(name)} holds NaN or infinity", hint="Remove or replace these samples.")


def _listed(names: list[str]) -> str:
    return ", ".join(quoted(name) for name in names[:10]) + (", …" if len(names) > 10 else "")
