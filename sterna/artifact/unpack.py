"""An artifact → a plain safetensors file of dense tensors under their original names: a drop-in state dict."""

from __future__ import annotations

from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sterna.artifact.container import OutgoingTensor, arrange, read_header, write_container
from sterna.artifact.element_types import BY_TORCH_NAME, ELEMENT_TYPES
from sterna.artifact.reader import Artifact


def unpack_artifact(path: str | PathLike[str], out_path: str | PathLike[str]) -> None:
    """Write every tensor of the artifact at `path` to `out_path`, ternary weights as float32 scale · code.

    One tensor at a time is in memory. The bytes are the same for the same artifact.

    Raises:
        ArtifactCorrupt, ArtifactDigestMismatch, ArtifactVersionUnsupported, UnsupportedFormat: as `Artifact.open` and
            `Artifact.dense`; then `out_path` is not written.
    """
    with Artifact.open(path) as artifact:
        tensors = [_dense_tensor(artifact, name) for name in artifact.graph.tensors]
        # `format` is what loaders of models on top of safetensors ask for.
        write_container(Path(out_path), arrange(tensors), {"format": "pt"})


def read_unpacked(path: str | PathLike[str]) -> dict[str, NDArray[Any]]:
    """Read what `unpack_artifact` wrote: arrays by original name; bfloat16 as the uint16 of its bit patterns.

    Raises:
        ArtifactCorrupt: no safetensors file, or one that contradicts itself.
    """
    data = memoryview(Path(path).read_bytes())
    header = read_header(data)
    body = data[header.data_start :]
    return {
        name: np.frombuffer(body[stored.begin : stored.end], stored.element_type.numpy).reshape(stored.shape)
        for name, stored in header.tensors.items()
    }


def _dense_tensor(artifact: Artifact, name: str) -> OutgoingTensor:
    info = artifact.graph.tensors[name]
    ternary = name in artifact.manifest.ternary
    element_type = ELEMENT_TYPES["F32"] if ternary else BY_TORCH_NAME[info.dtype]
    return OutgoingTensor(name, element_type, info.shape, partial(artifact.dense, name))
