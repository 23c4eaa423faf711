"""The verb on an ONNX network: the same way as a `.pt2` from the reader on."""

import numpy as np
import onnxruntime
import pytest
import torch

import sterna
from api_schemas import CompressSpec
from sterna.artifact import Artifact
from sterna.compress import ARTIFACT_NAME, compress
from sterna.intake import read_model
from sterna.module import build_module


def test_an_onnx_network_becomes_an_artifact_with_exactly_the_sparsity(tiny_onnx, tmp_path):
    spec = CompressSpec.model_validate({"target_sparsity": 0.8, "budget": {"epochs": 30}})
    result = compress(tiny_onnx.model, tiny_onnx.data, spec, tmp_path)
    with Artifact.open(tmp_path / ARTIFACT_NAME) as artifact:
        codes = {layer.name: artifact.codes(layer.name) for layer in artifact.layers}
        scales = {layer.name: layer.scale_shape for layer in artifact.layers}
    zeros = sum(int((one == 0).sum()) for one in codes.values())
    assert zeros == round(0.8 * (64 * 16 + 64 * 20))
    assert scales == {"hidden.weight": (64, 1), "head.kernel_0": (1, 20)}
    assert result.target_met
    rows = torch.from_numpy(np.load(tiny_onnx.data)["row_1"])
    original = torch.from_numpy(onnxruntime.InferenceSession(tiny_onnx.model).run(None, {"row.1": rows.numpy()})[0])
    rebuilt = build_module(read_model(tiny_onnx.model)).eval()
    torch.testing.assert_close(rebuilt(rows), original, rtol=1e-5, atol=1e-5)
    ternary = sterna.load(tmp_path / ARTIFACT_NAME)(row_1=rows)
    agreement = (ternary.argmax(1) == original.argmax(1)).float().mean()
    assert float(agreement) > 0.3  # one of twenty classes: chance is 0.05


def test_external_names_serve_in_exclude(tiny_onnx, tmp_path):
    spec = CompressSpec.model_validate({"target_sparsity": 0.5, "budget": {"epochs": 2}, "exclude": ["head.*"]})
    result = compress(tiny_onnx.model, None, spec, tmp_path)
    assert [layer.name for layer in result.layers] == ["hidden.weight"]
    assert result.sparsity == pytest.approx(0.5, abs=0.0005)
