"""Each export run in the runtime that it is for, so that its accuracy is measured there and not assumed.

| export | runtime |
|---|---|
| `onnx` | ONNX Runtime, on the processor, with its defaults |
| `gguf` | read and dequantised by the `gguf` package, computed by torch: GGUF has no runtime for any network |
| `safetensors` | loaded as a state dict, computed by torch |
| `pt2` | read by Sterna's own reader of `.pt2`, which executes nothing of the file, computed by torch |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sterna.artifact import Artifact, read_unpacked
from sterna.errors import ExportUnsupported
from sterna.graph import DTYPES, Graph, Network
from sterna.intake import read_model
from sterna.module import build_module
from sterna.module.arrays import to_array

Arrays = Mapping[str, NDArray[Any]]


class RuntimeNetwork(nn.Module):
    """An export in its runtime, callable as any module: tensors of the inputs in, the first output out.

    Attributes:
        runtime: name of what computes it.
        version: of that.
    """

    def __init__(self, run: Callable[..., Tensor], runtime: str, version: str) -> None:
        super().__init__()
        self._run, self.runtime, self.version = run, runtime, version

    def forward(self, *inputs: Tensor) -> Tensor:
        """Run it on a batch."""
        return self._run(*inputs)


def open_export(name: str, path: Path, artifact_path: Path) -> RuntimeNetwork:
    """Load the export `name` at `path`, which was made of the artifact, in its runtime.

    Raises:
        ExportUnsupported: the runtime refuses it.
    """
    return _RUNTIMES[name](path, artifact_path)


def _onnx(path: Path, _: Path) -> RuntimeNetwork:
    import onnxruntime  # noqa: PLC0415  only for those who export to it

    refusals = _refusals()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except refusals as error:
        raise _refused(error) from error
    names = [item.name for item in session.get_inputs()]

    def run(*inputs: Tensor) -> Tensor:
        given = {name: tensor.detach().numpy() for name, tensor in zip(names, inputs, strict=True)}
        try:
            return torch.from_numpy(session.run(None, given)[0])
        except refusals as error:
            raise _refused(error) from error

    return RuntimeNetwork(run, "onnxruntime", onnxruntime.__version__)


def _refusals() -> tuple[type[Exception], ...]:
    from onnxruntime.capi import onnxruntime_pybind11_state as state  # noqa: PLC0415

    return (
        state.EPFail,
        state.Fail,
        state.InvalidArgument,
        state.InvalidGraph,
        state.InvalidProtobuf,
        state.NotImplemented,
        state.RuntimeException,
    )


def _refused(error: Exception) -> ExportUnsupported:
    return ExportUnsupported(
        f"ONNX Runtime does not run the exported network: {str(error).splitlines()[0][:300]}",
        hint="Export to pt2 or safetensors instead.",
    )


def _safetensors(path: Path, artifact_path: Path) -> RuntimeNetwork:
    return _by_torch(_rebuilt(artifact_path, lambda _: read_unpacked(path)), "torch", torch.__version__)


def _pt2(path: Path, _: Path) -> RuntimeNetwork:
    return _by_torch(build_module(read_model(path)).eval(), "torch", torch.__version__)


def _gguf(path: Path, artifact_path: Path) -> RuntimeNetwork:
    runtime = f"gguf {version('gguf')} dequantised, torch"
    return _by_torch(_rebuilt(artifact_path, lambda graph: _dequantised(path, graph)), runtime, torch.__version__)


def _dequantised(path: Path, graph: Graph) -> Arrays:
    from gguf import GGMLQuantizationType, GGUFReader, quants  # noqa: PLC0415

    arrays: dict[str, NDArray[Any]] = {}
    for tensor in GGUFReader(path).tensors:
        info = graph.tensors[tensor.name]
        data = tensor.data
        if tensor.tensor_type == GGMLQuantizationType.BF16:
            arrays[tensor.name] = data.view(DTYPES["bfloat16"]).reshape(info.shape)
        elif tensor.tensor_type in {GGMLQuantizationType.TQ1_0, GGMLQuantizationType.TQ2_0}:
            arrays[tensor.name] = quants.dequantize(data, tensor.tensor_type).reshape(info.shape)
        else:
            arrays[tensor.name] = data.reshape(info.shape)
    return arrays


def _rebuilt(artifact_path: Path, read: Callable[[Graph], Arrays]) -> nn.Module:
    """The network of the artifact with the tensors of the export."""
    with Artifact.open(artifact_path) as artifact:
        graph, ternary = artifact.graph, set(artifact.manifest.ternary)
    tensors = dict(read(graph))
    for name in ternary:
        # The exports have these as float32 or float16, whatever the network's own type is.
        tensors[name] = to_array(torch.from_numpy(tensors[name].copy()), graph.tensors[name].dtype)
    for name, info in graph.tensors.items():
        tensors[name] = tensors[name].astype(DTYPES[info.dtype], copy=False)
    return build_module(Network(graph, tensors)).eval()


def _by_torch(module: nn.Module, runtime: str, version: str) -> RuntimeNetwork:
    def run(*inputs: Tensor) -> Tensor:
        output = module(*inputs)
        first: Tensor = output[0] if isinstance(output, tuple) else output
        return first

    return RuntimeNetwork(run, runtime, str(version))


_RUNTIMES: Mapping[str, Callable[[Path, Path], RuntimeNetwork]] = {
    "onnx": _onnx,
    "gguf": _gguf,
    "safetensors": _safetensors,
    "pt2": _pt2,
}
