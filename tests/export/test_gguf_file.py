"""What the `gguf` package reads of a GGUF export."""

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFReader, quants
from torch import nn

from sterna.artifact import Artifact, ArtifactContents, TernaryTensor, write_artifact
from sterna.errors import ExportUnsupported
from sterna.export import EXPORTS
from sterna.export.gguf_file import export_gguf


class Mixed(nn.Module):
    """Rows of 256 and of 300, a convolution, normalisation, a buffer of whole numbers."""

    def __init__(self):
        super().__init__()
        self.wide, self.odd = nn.Linear(512, 300), nn.Linear(300, 3)
        self.conv = nn.Conv1d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm1d(4)
        self.register_buffer("shift", torch.tensor([3, 4]))

    def forward(self, x):
        return self.odd(self.norm(self.conv(self.wide(x).unsqueeze(1))).sum(1)) + self.shift.sum()


@pytest.fixture
def path(pack):
    torch.manual_seed(0)
    return pack(Mixed(), torch.randn(4, 512))


def read(path):
    return {tensor.name: tensor for tensor in GGUFReader(path).tensors}


@pytest.mark.parametrize(("kind", "bits"), [("TQ2_0", 2.0625), ("TQ1_0", 1.6875)])
def test_ternary_rows_are_exact_but_for_the_half_precision_of_the_scale(path, tmp_path, kind, bits):
    export_gguf(path, tmp_path / "m.gguf", ternary_type=kind)
    wide = read(tmp_path / "m.gguf")["wide.weight"]
    assert wide.tensor_type == GGMLQuantizationType[kind]
    assert wide.n_bytes * 8 / (300 * 512) == bits
    dense = quants.dequantize(wide.data, wide.tensor_type).reshape(300, 512)
    with Artifact.open(path) as artifact:
        assert np.array_equal(np.sign(dense), artifact.codes("wide.weight"))
        np.testing.assert_allclose(dense, artifact.dense("wide.weight"), rtol=5e-4)


def test_all_others_are_stored_as_they_are_or_in_half_precision(path, tmp_path):
    EXPORTS["gguf"].write(path, tmp_path / "m.gguf")
    found = read(tmp_path / "m.gguf")
    with Artifact.open(path) as artifact:
        assert list(found) == list(artifact.graph.tensors)
        for name, info in artifact.graph.tensors.items():
            tensor = found[name]
            assert tuple(tensor.shape[::-1]) == (info.shape or (1,))  # ggml counts axes from the innermost
            if name == "wide.weight":
                continue
            half = name in artifact.manifest.ternary
            wanted = artifact.dense(name).astype(np.float16) if half else artifact.dense(name)
            assert tensor.tensor_type.name == ("F16" if half else {"float32": "F32", "int64": "I64"}[info.dtype])
            assert np.array_equal(tensor.data.reshape(info.shape), wanted)


@pytest.mark.parametrize(("scale", "kind"), [(1e-9, "F32"), (1e9, "F32"), (0.0, "TQ2_0"), (1 / 3, "TQ2_0")])
def test_a_scale_that_half_precision_cannot_hold_stays_single(graph_of_linear, tmp_path, scale, kind):
    codes = np.ones((2, 256), np.int8)
    scales = np.array([[0.5], [scale]], np.float32)
    weight = {"fc.weight": TernaryTensor(codes, scales)}
    write_artifact(tmp_path / "m.sterna", ArtifactContents(graph_of_linear(2, 256), weight, {}))
    EXPORTS["gguf"].write(tmp_path / "m.sterna", tmp_path / "m.gguf")
    found = read(tmp_path / "m.gguf")["fc.weight"]
    assert found.tensor_type.name == kind
    dense = quants.dequantize(found.data, found.tensor_type).reshape(2, 256)
    np.testing.assert_allclose(dense, scales * codes, rtol=5e-4)


def test_the_bytes_are_the_same_each_time(path, tmp_path):
    for name in ("1.gguf", "2.gguf"):
        EXPORTS["gguf"].write(path, tmp_path / name)
    assert (tmp_path / "1.gguf").read_bytes() == (tmp_path / "2.gguf").read_bytes()


def test_a_name_that_ggml_does_not_take_is_refused(pack, tmp_path):
    network = nn.Sequential()
    network.add_module("a" * 60, nn.Linear(4, 2))
    with pytest.raises(ExportUnsupported, match="has a name of 67 bytes, GGUF takes 63"):
        EXPORTS["gguf"].write(pack(network, torch.randn(3, 4)), tmp_path / "m.gguf")
    assert not list(tmp_path.glob("m.gguf*"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_types_keep_their_bits(pack, tmp_path, dtype):
    network = nn.Linear(256, 2).to(dtype)
    EXPORTS["gguf"].write(pack(network, torch.randn(3, 256).to(dtype)), tmp_path / "m.gguf")
    bias = read(tmp_path / "m.gguf")["bias"]
    assert bias.data.tobytes() == network.bias.detach().view(torch.uint8).numpy().tobytes()
    assert bias.tensor_type.name == {torch.bfloat16: "BF16", torch.float16: "F16"}[dtype]
