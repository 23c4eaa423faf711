"""Recurrent and attention networks through the verb: what is made ternary, what stays, exact counts in the file."""

import numpy as np
import pytest
import torch

import sterna
from api_schemas import CompressSpec
from sterna.artifact import Artifact
from sterna.compress import ARTIFACT_NAME, compress
from tests.module.architectures import ARCHITECTURES

pytestmark = pytest.mark.filterwarnings("ignore:The tensor attributes self:UserWarning")  # torch's own, of LSTM

TERNARY = {
    "lstm": {"embed.weight", "lstm.weight_ih_l0", "lstm.weight_hh_l0", "fc.weight"},
    "encoder": {
        "embed.weight",
        "fc.weight",
        *(f"encoder.layers.{layer}.self_attn.in_proj_weight" for layer in (0, 1)),
        *(f"encoder.layers.{layer}.self_attn.out_proj.weight" for layer in (0, 1)),
        *(f"encoder.layers.{layer}.linear{index}.weight" for layer in (0, 1) for index in (1, 2)),
    },
    "gpt": {
        "wte.weight",
        *(f"blocks.{block}.{name}.weight" for block in (0, 1) for name in ("attn", "proj", "up", "down")),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", TERNARY)
def test_sequences_are_compressed_exactly(name, tmp_path):
    torch.manual_seed(0)
    architecture = ARCHITECTURES[name]
    original = architecture.make()
    model = architecture.export(original, tmp_path / "model.pt2")
    (tokens,) = architecture.inputs(64, 8)
    np.savez(tmp_path / "data.npz", tokens=tokens.numpy())
    spec = CompressSpec.model_validate({"target_sparsity": 0.8, "budget": {"epochs": 4}})

    result = compress(model, tmp_path / "data.npz", spec, tmp_path)

    assert {layer.name for layer in result.layers} == TERNARY[name]
    with Artifact.open(tmp_path / ARTIFACT_NAME) as artifact:
        codes = np.concatenate([artifact.codes(layer.name).ravel() for layer in artifact.layers])
    assert abs(np.count_nonzero(codes == 0) / codes.size - 0.8) <= 0.0005
    loaded = sterna.load(tmp_path / ARTIFACT_NAME)
    assert loaded(architecture.inputs(2, 8)[0]).shape == original(architecture.inputs(2, 8)[0]).shape
    if name == "gpt":  # what says where a token stands is trained on, and stays dense
        assert len(loaded.state_dict()["wpe.weight"].unique()) > 100
