"""Each export gives in its own runtime what the artifact gives in torch, and says by what it was computed."""

import onnxruntime
import pytest
import torch
from torch import nn

from sterna import load
from sterna.errors import ExportUnsupported
from sterna.export import EXPORTS
from sterna.export.runtimes import open_export


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(256, 10), nn.ReLU(), nn.Linear(10, 3))


@pytest.mark.parametrize(
    ("name", "runtime", "version", "tolerance"),
    [
        ("onnx", "onnxruntime", onnxruntime.__version__, 0.02),  # activations are rounded to int8
        ("gguf", "gguf 0.19.0 dequantised, torch", torch.__version__, 1e-3),  # scales are float16
        ("safetensors", "torch", torch.__version__, 0),
        ("pt2", "torch", torch.__version__, 0),
    ],
)
def test_it_computes_the_network(name, runtime, version, tolerance, network, pack, tmp_path):
    path = pack(network, torch.randn(4, 256))
    EXPORTS[name].write(path, tmp_path / "out")
    opened = open_export(name, tmp_path / "out", path)
    inputs = torch.randn(5, 256)
    with torch.no_grad():
        found, wanted = opened(inputs), load(path)(inputs)
    assert float((found - wanted).norm()) <= tolerance * float(wanted.norm())
    assert (opened.runtime, opened.version) == (runtime, version)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["safetensors", "gguf", "pt2"])
def test_half_types_come_back_as_they_were(name, dtype, pack, tmp_path):
    path = pack(nn.Linear(8, 3).to(dtype), torch.randn(4, 8).to(dtype))
    EXPORTS[name].write(path, tmp_path / "out")
    inputs = torch.randn(5, 8).to(dtype)
    with torch.no_grad():
        found, wanted = open_export(name, tmp_path / "out", path)(inputs), load(path)(inputs)
    assert found.dtype == dtype
    torch.testing.assert_close(found, wanted, rtol=1e-2, atol=1e-2)


def test_what_the_runtime_refuses_is_told(pack, tmp_path):
    path = pack(nn.Linear(4, 2), torch.randn(3, 4))
    (tmp_path / "out").write_bytes(b"no model")
    with pytest.raises(ExportUnsupported, match="ONNX Runtime does not run"):
        open_export("onnx", tmp_path / "out", path)
    EXPORTS["onnx"].write(path, tmp_path / "out")
    with pytest.raises(ExportUnsupported, match="ONNX Runtime does not run"):
        open_export("onnx", tmp_path / "out", path)(torch.zeros(3, 7))
