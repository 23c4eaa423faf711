"""Run the network of an artifact on arrays: numpy in, numpy out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray

from sterna.errors import ModelDoesNotRun
from sterna.module.load import load_module


def run_artifact(path: str | os.PathLike[str], arrays: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
    """Give the outputs of the network on `arrays`, one for each input in its order; bfloat16 comes as float32.

    Raises:
        ArtifactCorrupt, ArtifactDigestMismatch, ArtifactVersionUnsupported, UnsupportedFormat: as `load_module`.
        ModelDoesNotRun: the network fails on them.
    """
    network = load_module(path)
    try:
        with torch.no_grad():
            made = network(*(torch.from_numpy(array) for array in arrays))
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise ModelDoesNotRun(f"the network fails on these inputs: {str(error).splitlines()[0]}") from error
    made = made if isinstance(made, tuple) else (made,)
    return tuple((tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy() for tensor in made)
