"""An artifact becomes a module that runs, with no class of the user's."""

from __future__ import annotations

import os
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from sterna.artifact import Artifact
from sterna.graph import Network
from sterna.module.arrays import to_array
from sterna.module.rebuilt import build_module


def load_module(path: str | os.PathLike[str]) -> nn.Module:
    """Load an artifact as a module in evaluation mode; ternary weights are dense, scale · code.

    Raises:
        ArtifactCorrupt, ArtifactDigestMismatch, ArtifactVersionUnsupported, UnsupportedFormat: the file cannot be read.
        ModelUnsafe: a tensor has a name that would hide a part of `torch.nn.Module`.
    """
    with Artifact.open(path) as artifact:
        ternary = {layer.name for layer in artifact.layers}
        tensors: dict[str, NDArray[Any]] = {}
        for name, info in artifact.graph.tensors.items():
            dense = artifact.dense(name)
            # A ternary weight comes as float32, whatever the network's own type is.
            tensors[name] = to_array(torch.from_numpy(dense), info.dtype) if name in ternary else dense
        return build_module(Network(artifact.graph, tensors)).eval()
