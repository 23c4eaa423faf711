"""What several folders of tests share: a trained network and its data, as files that a user would send."""

import os
from dataclasses import dataclass
from pathlib import Path

# Several processes train at once on few cores: more threads than cores make small networks slower by an order of
# magnitude. Set before torch is first imported, and inherited by every process that a test starts.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import hypothesis
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from examples.digits import write_example

pytest_plugins = ["tests.servers.fixtures"]

# The same examples each time, whatever ran before, and as long as they take on a busy machine.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("repeatable")


def pytest_collection_modifyitems(items):
    """Tests of the page come last: Playwright leaves a loop running, in which no other test could start one."""
    items.sort(key=lambda item: "web" in item.path.parts)


@pytest.fixture(autouse=True)
def _same_numbers():
    """What a test draws does not depend on the tests that ran before it."""
    torch.manual_seed(0)


@dataclass(frozen=True)
class Example:
    """A model file and its data file."""

    model: Path
    data: Path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Example:
    """The smallest model and data that can be made ternary: untrained, for tests of the way and not of the result."""
    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    exported = torch.export.export(network, (torch.zeros(3, 4),), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.export.save(exported, folder / "tiny.pt2")
    inputs = np.random.default_rng(0).standard_normal((40, 4), dtype=np.float32)
    np.savez(folder / "tiny.npz", input=inputs, target=np.arange(40) % 2)
    return Example(folder / "tiny.pt2", folder / "tiny.npz")


@pytest.fixture(scope="session")
def mlp(tmp_path_factory) -> Example:
    """The 8×8 digits MLP, trained and exported by stock torch."""
    return Example(*write_example("mlp", tmp_path_factory.mktemp("examples")))


@pytest.fixture(scope="session")
def cnn(tmp_path_factory) -> Example:
    """The 28×28 digits CNN with batch norm and dropout, trained and exported by stock torch."""
    return Example(*write_example("cnn", tmp_path_factory.mktemp("examples")))


@pytest.fixture(scope="session")
def tiny_onnx(tmp_path_factory) -> Example:
    """An ONNX network of two layers, one with its weight as torch has it and one with it transposed, and its data."""
    folder, random = tmp_path_factory.mktemp("tiny_onnx"), np.random.default_rng(0)
    weights = {
        "hidden.weight": random.standard_normal((64, 16)), "hidden.bias": np.zeros(64),
        "head/kernel:0": random.standard_normal((64, 20)),
    }  # fmt: skip
    nodes = [
        helper.make_node("Gemm", ["row.1", "hidden.weight", "hidden.bias"], ["h"], transB=1),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "head/kernel:0"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("row.1", TensorProto.FLOAT, ["batch", 16])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 20])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "tiny.onnx")
    inputs = random.standard_normal((80, 16), dtype=np.float32)
    np.savez(folder / "tiny.npz", row_1=inputs)
    return Example(folder / "tiny.onnx", folder / "tiny.npz")
