"""The ONNX export in ONNX Runtime beside the original in torch and in ONNX Runtime, interleaved in one process.

One thread each, and processor time instead of time on the clock, so that what else the machine does does not count. The
runtimes take turns, so that what it does to caches and clock rates meets all alike; the ratio is that of the medians.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from bench.method.networks import ResidualNetwork
from examples.networks import DigitsCNN, DigitsMLP
from sterna import load
from sterna.artifact import ArtifactContents, TernaryTensor, write_artifact
from sterna.export import EXPORTS
from sterna.graph import find_layers
from sterna.intake import read_model

BATCHES = (1, 16)
ROUNDS = 15
ROUND_S = 0.03
SPARSITY = 0.7

Call = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Latency:
    """One network at one batch.

    Attributes:
        ms: by runtime, the median of the rounds and the fastest of them.
        error: of the export's output, relative to the ternary network's in torch.
    """

    network: str
    batch: int
    ms: Mapping[str, tuple[float, float]]
    error: float

    def faster(self, than: str) -> float:
        """How many times faster the export is than another runtime."""
        return self.ms[than][0] / self.ms["export"][0]


def latencies() -> list[Latency]:
    """Every network at every batch."""
    torch.set_num_threads(1)
    made: list[tuple[str, nn.Module, tuple[int, ...]]] = [
        ("linear 4096²", nn.Linear(4096, 4096, bias=False), (4096,)),
        ("linear 1024²", nn.Linear(1024, 1024, bias=False), (1024,)),
        ("three linear layers of 2048", _deep(), (2048,)),
        ("MLP of examples/", DigitsMLP(), (64,)),
        ("CNN of examples/", DigitsCNN(), (1, 28, 28)),
        ("residual network", ResidualNetwork(), (1, 28, 28)),
    ]
    return [row for name, network, shape in made for row in _measured(name, network.eval(), shape)]


def _deep() -> nn.Module:
    return nn.Sequential(*(part for _ in range(3) for part in (nn.Linear(2048, 2048), nn.ReLU())))


def _measured(name: str, network: nn.Module, shape: tuple[int, ...]) -> list[Latency]:
    with tempfile.TemporaryDirectory() as folder:
        path = _ternary(network, shape, Path(folder))
        EXPORTS["onnx"].write(path, Path(folder) / "m.onnx")
        exported = onnx.load(Path(folder) / "m.onnx")
        ternary = load(path)
        sessions = {"export": _session(exported), "onnxruntime": _session(dense(exported))}
    return [_row(name, batch, network, ternary, sessions, shape) for batch in BATCHES]


def _row(  # noqa: PLR0913, PLR0917  what is timed, and on what
    name: str,
    batch: int,
    network: nn.Module,
    ternary: nn.Module,
    sessions: Mapping[str, onnxruntime.InferenceSession],
    shape: tuple[int, ...],
) -> Latency:
    inputs = torch.randn(batch, *shape, generator=torch.Generator().manual_seed(0))
    feed = {next(iter(sessions.values())).get_inputs()[0].name: inputs.numpy()}
    with torch.inference_mode():
        calls: dict[str, Call] = {"torch": lambda: network(inputs)}
        for runtime, session in sessions.items():
            calls[runtime] = lambda session=session: session.run(None, feed)  # type: ignore[misc]
        times = in_turns(calls)
        wanted = ternary(inputs).numpy()
    found = sessions["export"].run(None, feed)[0]
    return Latency(name, batch, times, float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted)))


def in_turns(calls: Mapping[str, Call]) -> dict[str, tuple[float, float]]:
    """Milliseconds of one call of each: the median of the rounds, and the fastest."""
    counts = {name: max(1, int(ROUND_S / max(1e-6, _seconds(call, 3)))) for name, call in calls.items()}
    rounds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            rounds[name].append(1e3 * _seconds(call, counts[name]))
    return {name: (median(taken), min(taken)) for name, taken in rounds.items()}


def _seconds(call: Call, times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - start) / times


def dense(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with float32 weights: what the original is in ONNX Runtime."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    stored = {tensor.name: tensor for tensor in made.graph.initializer}
    for node in [node for node in made.graph.node if node.op_type == "DequantizeLinear"]:
        codes, scale = (numpy_helper.to_array(stored[name]) for name in node.input)
        weight: NDArray[Any] = codes.astype(np.float32) * scale
        made.graph.initializer.append(numpy_helper.from_array(weight, node.output[0]))
        for name in node.input:
            made.graph.initializer.remove(stored[name])
        made.graph.node.remove(node)
    return made


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _ternary(network: nn.Module, shape: tuple[int, ...], folder: Path) -> Path:
    """An artifact of the network: the largest weights of each layer by their signs; only speed counts here."""
    batch = {0: torch.export.Dim("batch")}
    exported = torch.export.export(network, (torch.zeros(2, *shape),), dynamic_shapes=(batch,))
    torch.export.save(exported, folder / "m.pt2")
    source = read_model(folder / "m.pt2")
    ternary = {}
    for layer in find_layers(source.graph):
        weight = np.asarray(source.tensors[layer.name], np.float32)
        size = np.abs(weight)
        codes = (np.sign(weight) * (size > np.quantile(size, SPARSITY))).astype(np.int8)
        scale = np.full((weight.shape[0], *[1] * (weight.ndim - 1)), size.mean(), np.float32)
        ternary[layer.name] = TernaryTensor(codes, scale)
    dense_tensors = {name: np.asarray(array) for name, array in source.tensors.items() if name not in ternary}
    write_artifact(folder / "m.sterna", ArtifactContents(source.graph, ternary, dense_tensors))
    return folder / "m.sterna"
