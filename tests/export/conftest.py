"""Artifacts of networks that stock torch exports, made ternary by their signs: what an export is made from."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from sterna.artifact import ArtifactContents, TernaryTensor, write_artifact
from sterna.graph import Graph, Input, Network, Node, TensorInfo, TensorRef, ValueRef, find_layers
from sterna.intake import read_model

Pack = Callable[..., Path]


def ternarised(network: Network) -> tuple[dict[str, TernaryTensor], dict[str, np.ndarray]]:
    """The larger half of each weight as its sign, a scale for each output channel; the rest as it is."""
    ternary = {}
    for layer in find_layers(network.graph):
        if layer.ternarisable:
            weight = np.asarray(network.tensors[layer.name], np.float32)
            codes = (np.sign(weight) * (np.abs(weight) > np.median(np.abs(weight)))).astype(np.int8)
            sizes = [size if axis == layer.channel_axis else 1 for axis, size in enumerate(weight.shape)]
            scale = np.linspace(0.1, 0.4, np.prod(sizes), dtype=np.float32).reshape(sizes)
            ternary[layer.name] = TernaryTensor(codes, scale)
    return ternary, {name: np.asarray(value) for name, value in network.tensors.items() if name not in ternary}


@pytest.fixture(scope="session")
def graph_of_linear() -> Callable[[int, int], Graph]:
    """x @ fc.weightᵀ for a weight of this shape."""

    def make(outputs: int, inputs: int) -> Graph:
        node = Node("aten.linear.default", {"input": ValueRef("x"), "weight": TensorRef("fc.weight")}, ("y",))
        tensors = {"fc.weight": TensorInfo("parameter", "float32", (outputs, inputs))}
        return Graph((Input("x", "float32", (None, inputs)),), tensors, (node,), (ValueRef("y"),))

    return make


@pytest.fixture(scope="session")
def write_network() -> Callable[[Network, Path], Path]:
    """Make a network ternary and write the artifact."""

    def write(network: Network, path: Path) -> Path:
        write_artifact(path, ArtifactContents(network.graph, *ternarised(network)))
        return path

    return write


@pytest.fixture
def pack(tmp_path, write_network) -> Pack:
    """Export a module in evaluation mode with stock torch, make it ternary, write the artifact."""

    def make(model: nn.Module, *inputs: torch.Tensor) -> Path:
        axes = tuple({0: torch.export.Dim("batch")} for _ in inputs)
        exported = torch.export.export(model.eval(), inputs, dynamic_shapes=axes)
        torch.export.save(exported, tmp_path / "source.pt2")
        return write_network(read_model(tmp_path / "source.pt2"), tmp_path / "model.sterna")

    return make


@pytest.fixture
def run_onnx() -> Callable[[Path, Mapping[str, np.ndarray]], list[np.ndarray]]:
    """Run a file in ONNX Runtime, on the processor and in one thread."""

    def run(path: Path, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return session.run(None, dict(inputs))

    return run
