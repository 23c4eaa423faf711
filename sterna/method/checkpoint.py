"""A run's state as a file: a safetensors container whose metadata holds the numbers as JSON. No pickle, no code.

    sterna.checkpoint   version of this layout, and the version of the method, which say whether the rest can be used
    sterna.run          the fields of `RunState`
    sterna.about        what the caller adds: of which inputs, made where

A checkpoint outlives the process that wrote it, and that process has read a stranger's file: reading trusts nothing.
What is read is well-formed; whether it fits a run, `ternarise(resume=…)` checks.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sterna.artifact.container import Header, OutgoingTensor, StoredTensor, arrange, read_header, write_container
from sterna.artifact.element_types import BY_TORCH_NAME
from sterna.artifact.json_text import expect_integer, expect_list, expect_object, expect_string, from_text, to_text
from sterna.artifact.limits import MAX_SIZE
from sterna.errors import ArtifactCorrupt, CheckpointRejected
from sterna.method.run_state import RunState
from sterna.trials import Trial

METHOD_VERSION: Final = 1
"""Rises with every change after which a run computes something else from the same state, or keeps another state."""
_VERSIONS: Final = f"layout 1, method {METHOD_VERSION}"
_MOST_TRIALS: Final = 1000
_MOST: Final = sys.float_info.max  # JSON's integers have no end
_NUMBERS: Final = tuple(field.name for field in fields(RunState) if field.name != "tensors")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        state: of the run. Its tensors are read from the file as they are used: it must stay as it is meanwhile.
        about: JSON that was written with it.
    """

    state: RunState
    about: Mapping[str, object]


def write_checkpoint(path: Path, state: RunState, about: Mapping[str, object]) -> tuple[int, str]:
    """Write a state to `path`, which appears whole or not at all.

    Args:
        path: in an existing folder; replaced where it exists.
        state: of a run, perhaps still in its memory.
        about: JSON.

    Returns:
        Length in bytes and SHA-256 of the file.

    Raises:
        ModelTooLarge: the names of all tensors are too long for a header.
    """
    numbers = {name: getattr(state, name) for name in _NUMBERS}
    numbers["trials"] = [[trial.alpha, trial.sparsity] for trial in state.trials]
    metadata = {"sterna.checkpoint": _VERSIONS, "sterna.run": to_text(numbers), "sterna.about": to_text(dict(about))}
    return write_container(path, arrange(_outgoing(name, one) for name, one in state.tensors.items()), metadata)


def state_bytes(state: RunState) -> int:
    """What a state takes in a file, but for the header."""
    return sum(tensor.nbytes for tensor in state.tensors.values())


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a file that `write_checkpoint` may have written.

    Raises:
        CheckpointRejected: it did not, or another version of it did.
        OSError: it cannot be read.
    """
    if path.stat().st_size == 0:
        raise CheckpointRejected("the checkpoint is empty")
    # Read-only: what is private and writable would count as memory of the process, read or not.
    data = np.memmap(path, dtype=np.uint8, mode="r")
    try:
        return _read(data, read_header(data.data))
    except ArtifactCorrupt as error:
        raise CheckpointRejected(f"the checkpoint is damaged: {error.detail}") from None


def _read(data: NDArray[np.uint8], header: Header) -> Checkpoint:
    versions = header.metadata.get("sterna.checkpoint", "nothing")
    if versions != _VERSIONS:
        raise CheckpointRejected(f"the checkpoint is of {versions[:80]!r}, this is {_VERSIONS!r}")
    numbers = expect_object(from_text(header.metadata.get("sterna.run", ""), "sterna.run"), "sterna.run", _NUMBERS)
    about = expect_object(from_text(header.metadata.get("sterna.about", ""), "sterna.about"), "sterna.about")
    tensors = {name: _tensor(data, header.data_start, stored) for name, stored in header.tensors.items()}
    count = partial(expect_integer, least=0, most=MAX_SIZE)
    phase = expect_string(numbers["phase"], "phase")
    if phase not in {"search", "recover"}:
        raise CheckpointRejected(f"the checkpoint is of the phase {phase[:80]!r}")
    trial_alpha = numbers["trial_alpha"]
    state = RunState(
        phase="search" if phase == "search" else "recover",
        step=count(numbers["step"], "step"),
        steps_before=count(numbers["steps_before"], "steps_before"),
        searched=count(numbers["searched"], "searched"),
        stopped=expect_truth(numbers["stopped"], "stopped"),
        micro_batch=None if numbers["micro_batch"] is None else count(numbers["micro_batch"], "micro_batch"),
        drawn=count(numbers["drawn"], "drawn"),
        trials=tuple(_trial(one) for one in expect_list(numbers["trials"], "trials", most=_MOST_TRIALS)),
        trial_alpha=None if trial_alpha is None else expect_number(trial_alpha, "trial_alpha"),
        config=expect_object(numbers["config"], "config"),
        tensors=tensors,
    )
    return Checkpoint(state, about)


def expect_number(value: object, what: str) -> float:
    """Take a finite number.

    Raises:
        ArtifactCorrupt: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < math.inf:
        raise ArtifactCorrupt(f"{what} is no finite number")
    return float(min(max(value, -_MOST), _MOST))


def expect_truth(value: object, what: str) -> bool:
    """Take true or false.

    Raises:
        ArtifactCorrupt: it is something else.
    """
    if not isinstance(value, bool):
        raise ArtifactCorrupt(f"{what} is neither true nor false")
    return value


def _trial(value: object) -> Trial:
    pair = expect_list(value, "a trial", most=2)
    if len(pair) != 2:
        raise ArtifactCorrupt("a trial is no pair")
    return Trial(expect_number(pair[0], "α of a trial"), expect_number(pair[1], "sparsity of a trial"))


def _outgoing(name: str, tensor: Tensor) -> OutgoingTensor:
    kind = BY_TORCH_NAME[str(tensor.dtype).removeprefix("torch.")]
    return OutgoingTensor(name, kind, tuple(tensor.shape), lambda: _array(tensor))


def _array(tensor: Tensor) -> NDArray[Any]:
    own = tensor.detach().cpu()
    # numpy has no bfloat16: its bit patterns, as everywhere in a container.
    array: NDArray[Any] = (own.view(torch.int16) if own.dtype == torch.bfloat16 else own).numpy()
    return array.view(np.uint16) if own.dtype == torch.bfloat16 else array


def _tensor(data: NDArray[np.uint8], data_start: int, stored: StoredTensor) -> Tensor:
    raw = data[data_start + stored.begin : data_start + stored.end]
    kind = stored.element_type
    if kind.name == "BOOL" and raw.size and int(raw.max()) > 1:
        raise ArtifactCorrupt("a truth value is neither 0 nor 1")
    if not raw.size:
        return torch.zeros(stored.shape, dtype=getattr(torch, kind.torch_name))
    # A foreign file may put its tensors anywhere; torch wants them aligned.
    aligned = int(raw.ctypes.data) % kind.size_bytes == 0
    array = np.asarray(raw if aligned else raw.copy()).view(kind.numpy).reshape(stored.shape)
    with warnings.catch_warnings():
        # Nobody writes to it: a run copies what it takes.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        tensor = torch.from_numpy(array)
    return tensor.view(torch.bfloat16) if kind.name == "BF16" else tensor
