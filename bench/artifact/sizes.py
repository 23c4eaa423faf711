"""File sizes of real networks: made ternary by the whole way, and one of more than ten million weights."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from api_schemas import CompressSpec
from bench.artifact_codecs import independent
from bench.method.datasets import FOLDER, LOADERS
from bench.method.networks import ResidualBlock
from bench.method.train import TASKS, load_trained
from examples.digits import export
from sterna.artifact import Artifact, ArtifactContents, Listing, TernaryTensor, write_artifact
from sterna.compress import compress
from sterna.graph import find_layers
from sterna.intake import read_model

SPARSITIES = (0.7, 0.9)


@dataclass(frozen=True, slots=True)
class FileSize:
    """One artifact.

    Attributes:
        model_bytes: length of the `.pt2` that it was made of.
        metadata_bytes: of the manifest and the deflated graph.
        measured: held-out metric of each file of the job by its runtime; empty where nothing was trained.
    """

    network: str
    listing: Listing
    model_bytes: int
    metadata_bytes: int
    measured: dict[str, float]

    @property
    def header_bytes(self) -> int:
        """What safetensors itself needs: one entry for each stored tensor."""
        return self.listing.overhead_bytes - self.metadata_bytes


class ResNet18(nn.Module):
    """The residual network of eighteen layers for images of 32×32: 11.2 M weights, (batch, 3, 32, 32) → (batch, 10)."""

    def __init__(self) -> None:
        super().__init__()
        widths = (64, 64, 128, 128, 256, 256, 512, 512)
        strides = (1, 1, 2, 1, 2, 1, 2, 1)
        before = (64, *widths[:-1])
        self.stem = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU())
        self.blocks = nn.Sequential(*map(ResidualBlock, before, widths, strides))
        self.head = nn.Linear(512, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits of ten classes."""
        logits: torch.Tensor = self.head(self.blocks(self.stem(image)).mean((2, 3)))
        return logits


def trained_sizes() -> list[FileSize]:
    """Every bench network that is trained, or that trains in seconds, made ternary at each sparsity."""
    tasks = [name for name in TASKS if name.startswith("digits") or (FOLDER / f"{name}.safetensors").exists()]
    return [_compressed(task, sparsity) for task in tasks for sparsity in SPARSITIES]


def large_sizes() -> list[FileSize]:
    """ResNet-18 with independent codes, untrained: what the container costs, and nothing else."""
    return [_large(sparsity) for sparsity in SPARSITIES]


def _compressed(task: str, sparsity: float) -> FileSize:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arrays = LOADERS[task]()
        export(load_trained(task), arrays, folder / "model.pt2")
        np.savez(folder / "data.npz", **arrays)
        budget = {"epochs": TASKS[task].budget_epochs}
        spec = CompressSpec.model_validate({"target_sparsity": sparsity, "budget": budget, "exports": ["onnx", "gguf"]})
        result = compress(folder / "model.pt2", folder / "data.npz", spec, folder / "out")
        measured = {ref.measured.runtime: ref.measured.value for ref in result.artifacts if ref.measured is not None}
        return _size(task, folder / "out" / "model.sterna", folder / "model.pt2", measured)


def _large(sparsity: float) -> FileSize:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        batch = {0: torch.export.Dim("batch")}
        exported = torch.export.export(ResNet18().eval(), (torch.zeros(2, 3, 32, 32),), dynamic_shapes=(batch,))
        torch.export.save(exported, folder / "model.pt2")
        network = read_model(folder / "model.pt2")
        ternary = {}
        for layer in find_layers(network.graph):
            codes = independent(sparsity, layer.weights).reshape(layer.shape)
            ternary[layer.name] = TernaryTensor(codes, np.ones((layer.shape[0], *[1] * (codes.ndim - 1)), np.float32))
        dense = {name: np.asarray(array) for name, array in network.tensors.items() if name not in ternary}
        write_artifact(folder / "m.sterna", ArtifactContents(network.graph, ternary, dense))
        return _size("ResNet-18, independent codes", folder / "m.sterna", folder / "model.pt2", {})


def _size(network: str, path: Path, model: Path, measured: dict[str, float]) -> FileSize:
    with Artifact.open(path) as artifact:
        metadata = artifact.metadata_bytes
        return FileSize(network, artifact.listing, model.stat().st_size, metadata, measured)
