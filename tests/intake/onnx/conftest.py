"""ONNX networks as files, and the comparison with onnxruntime, which is the oracle."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import NodeProto, TensorProto, helper, numpy_helper

from sterna.graph import Network
from sterna.intake import read_model
from sterna.module import build_module

Arrays = Mapping[str, np.ndarray]
Compare = Callable[..., Network]

ONNX_TYPES = {
    "float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE, "float16": TensorProto.FLOAT16,
    "int64": TensorProto.INT64, "int32": TensorProto.INT32, "bool": TensorProto.BOOL, "uint8": TensorProto.UINT8,
}  # fmt: skip


def file_of(
    path: Path, nodes: Sequence[NodeProto], inputs: Arrays, tensors: Arrays, *, opset: int, dynamic: bool = True
) -> Path:
    """Write a network whose last node's results are its outputs; the first axis of each input is dynamic."""
    given = [
        helper.make_tensor_value_info(
            name,
            ONNX_TYPES[str(array.dtype)],
            ["batch" if dynamic and array.ndim else s for s in array.shape[:1]] + list(array.shape[1:]),
        )
        for name, array in inputs.items()
    ]
    returned = [helper.make_empty_tensor_value_info(name) for name in nodes[-1].output if name]
    initializers = [numpy_helper.from_array(array, name) for name, array in tensors.items()]
    graph = helper.make_graph(list(nodes), "network", given, returned, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8 if opset < 20 else 10)
    onnx.save(model, path)
    return path


def run_oracle(path: Path, inputs: Arrays) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, dict(inputs))


def run_rebuilt(network: Network, inputs: Arrays) -> list[np.ndarray]:
    module = build_module(network).eval()
    with torch.no_grad():
        results = module(*(torch.from_numpy(np.array(array)) for array in inputs.values()))
    return [one.numpy() for one in (results if isinstance(results, tuple) else (results,))]


def assert_same(found: Sequence[Any], wanted: Sequence[Any], tolerance: float) -> None:
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@pytest.fixture
def same_as_oracle() -> Callable[..., Network]:
    """Read a file and compare it with onnxruntime on several sets of inputs."""

    def compare(path: Path, *batches: Arrays, tolerance: float = 1e-5) -> Network:
        network = read_model(path)
        for inputs in batches:
            assert_same(run_rebuilt(network, inputs), run_oracle(path, inputs), tolerance)
        return network

    return compare


@pytest.fixture
def compare(tmp_path, same_as_oracle) -> Compare:
    """Write nodes as a network and compare it with onnxruntime, on the batch as it is and on a longer one."""

    def write_and_compare(
        nodes: Sequence[NodeProto] | NodeProto,
        inputs: Arrays,
        tensors: Arrays | None = None,
        *,
        opset: int = 18,
        dynamic: bool = True,
    ) -> Network:
        nodes = [nodes] if isinstance(nodes, NodeProto) else nodes
        path = file_of(tmp_path / "model.onnx", nodes, inputs, tensors or {}, opset=opset, dynamic=dynamic)
        batches = [dict(inputs)]
        if dynamic and all(array.ndim for array in inputs.values()):
            batches.append({name: np.concatenate([array, array[::-1], array]) for name, array in inputs.items()})
        return same_as_oracle(path, *batches)

    return write_and_compare


@pytest.fixture
def write(tmp_path) -> Callable[..., Path]:
    """Write nodes as a network."""

    def write_file(
        nodes: Sequence[NodeProto], inputs: Arrays, tensors: Arrays | None = None, *, opset: int = 18
    ) -> Path:
        return file_of(tmp_path / "model.onnx", nodes, inputs, tensors or {}, opset=opset)

    return write_file
