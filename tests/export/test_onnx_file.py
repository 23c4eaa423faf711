"""Whole networks in ONNX Runtime, in the layout that it fuses, and the same bytes each time."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from bench.method.networks import ResidualNetwork
from examples.networks import DigitsCNN, DigitsMLP
from sterna import load
from sterna.artifact import Artifact
from sterna.errors import ExportUnsupported, ExtraMissing, ModelTooLarge
from sterna.export import EXPORTS, check_exports
from sterna.export import packages as packages_module
from sterna.export.onnx_graph import RULES
from sterna.export.onnx_graph import write as write_module


@pytest.mark.parametrize(
    ("make", "name", "shape"),
    [
        (DigitsMLP, "pixels", (64,)),
        (DigitsCNN, "image", (1, 28, 28)),
        (ResidualNetwork, "image", (1, 28, 28)),
    ],
)
def test_a_whole_network_says_what_torch_says(make, name, shape, pack, run_onnx, tmp_path):
    torch.manual_seed(0)
    path = pack(make(), torch.randn(4, *shape))
    EXPORTS["onnx"].write(path, tmp_path / "m.onnx")
    network = load(path)
    for batch in (1, 7):
        inputs = torch.randn(batch, *shape)
        [found] = run_onnx(tmp_path / "m.onnx", {name: inputs.numpy()})
        wanted = network(inputs).detach().numpy()
        assert found.shape == wanted.shape
        # The two-bit kernel rounds activations to int8: some thousandths of the output's spread.
        assert np.linalg.norm(found - wanted) < 0.02 * np.linalg.norm(wanted)


def fused(path) -> list[str]:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path.with_name("optimised.onnx"))
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(path.with_name("optimised.onnx")).graph.node]


@pytest.mark.parametrize(
    "make",
    [
        DigitsMLP,
        lambda: nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 8), nn.ReLU(), nn.Linear(8, 4), nn.Sigmoid()),
        lambda: nn.Sequential(nn.Linear(64, 32, bias=False), nn.GELU(), nn.Linear(32, 8), nn.Linear(8, 10)),
    ],
)
def test_linear_layers_run_in_the_two_bit_kernel(make, pack, tmp_path):
    """Whatever follows them: an activation must not draw the product into a kernel of its own."""
    EXPORTS["onnx"].write(pack(make(), torch.randn(4, 64)), tmp_path / "m.onnx")
    kinds = fused(tmp_path / "m.onnx")
    assert kinds.count("MatMulNBits") == 3
    assert not {"MatMul", "Gemm", "FusedGemm", "DequantizeLinear", "Transpose"} & set(kinds)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 10, 13])
def test_every_width_is_computed_rightly(width, pack, run_onnx, tmp_path):
    """ONNX Runtime computes widths that are no multiple of four wrongly: they are filled up."""
    torch.manual_seed(width)
    path = pack(nn.Linear(48, width, bias=False), torch.randn(4, 48))
    EXPORTS["onnx"].write(path, tmp_path / "m.onnx")
    inputs = torch.randn(50, 48)
    [found] = run_onnx(tmp_path / "m.onnx", {"input": inputs.numpy()})
    wanted = load(path)(inputs).detach().numpy()
    assert found.shape == (50, width)
    assert np.linalg.norm(found - wanted) < 0.03 * np.linalg.norm(wanted)


def test_the_codes_and_scales_are_those_of_the_artifact(pack, tmp_path):
    path = pack(nn.Linear(6, 5), torch.randn(4, 6))
    EXPORTS["onnx"].write(path, tmp_path / "m.onnx")
    stored = {tensor.name: tensor for tensor in onnx.load(tmp_path / "m.onnx").graph.initializer}
    codes = numpy_helper.to_array(stored["weight.codes"]).astype(np.int8)  # onnx's own unpacking
    with Artifact.open(path) as artifact:
        assert codes.shape == (6, 8)
        assert np.array_equal(codes[:, :5], artifact.codes("weight").T)
        assert not codes[:, 5:].any()
        assert np.array_equal(numpy_helper.to_array(stored["weight.scale"])[:5], artifact.scale("weight").ravel())


def test_the_bytes_are_the_same_each_time(pack, tmp_path):
    path = pack(DigitsCNN(), torch.randn(4, 1, 28, 28))
    for name in ("1.onnx", "2.onnx"):
        EXPORTS["onnx"].write(path, tmp_path / name)
    assert (tmp_path / "1.onnx").read_bytes() == (tmp_path / "2.onnx").read_bytes()
    assert not list(tmp_path.glob("*.partial"))


def test_a_file_above_two_gibibytes_is_refused(pack, tmp_path, monkeypatch):
    monkeypatch.setattr(write_module, "MAX_ONNX_BYTES", 100)
    with pytest.raises(ModelTooLarge, match="at most 100"):
        EXPORTS["onnx"].write(pack(DigitsMLP(), torch.randn(4, 64)), tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_what_would_fail_is_refused_before_the_work(pack, monkeypatch):
    with Artifact.open(pack(DigitsMLP(), torch.randn(4, 64))) as artifact:
        graph = artifact.graph
    check_exports(EXPORTS, graph)
    monkeypatch.delitem(RULES, "aten.relu.default")
    with pytest.raises(ExportUnsupported, match=r"aten\.relu\.default"):
        check_exports(["onnx"], graph)
    monkeypatch.setattr(packages_module, "find_spec", lambda _: None)
    with pytest.raises(ExtraMissing, match="needs gguf") as caught:
        check_exports(["gguf"], graph)
    assert caught.value.hint == "pip install 'sterna[export]'"
