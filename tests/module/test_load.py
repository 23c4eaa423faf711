import numpy as np
import pytest
import torch
from torch import nn

import sterna
from sterna.artifact import ArtifactContents, TernaryTensor, write_artifact
from sterna.errors import ArtifactCorrupt
from sterna.module import load_module, tensors_of


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_an_artifact_runs_with_its_ternary_weights(rebuild, tmp_path, dtype):
    model = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)).to(dtype)
    rebuilt = rebuild(model, (torch.randn(4, 6, dtype=dtype),))
    graph = rebuilt._sterna_program.graph
    codes = np.random.default_rng(3).integers(-1, 2, (5, 6)).astype(np.int8)
    scale = np.array([[0.5], [0.25], [1.0], [2.0], [0.125]], np.float32)
    dense = {name: array for name, array in tensors_of(rebuilt, graph).items() if name != "0.weight"}
    path = tmp_path / "model.sterna"
    write_artifact(path, ArtifactContents(graph, {"0.weight": TernaryTensor(codes, scale)}, dense))

    loaded = load_module(path)

    assert not loaded.training
    with torch.no_grad():
        model[0].weight.copy_(torch.from_numpy(codes * scale))
    assert loaded.state_dict()["0.weight"].dtype is dtype
    inputs = torch.randn(8, 6, dtype=dtype)
    assert torch.equal(loaded(inputs), model.eval()(inputs))
    assert torch.equal(sterna.load(path)(inputs), loaded(inputs))


def test_what_is_no_artifact_is_refused(tmp_path):
    path = tmp_path / "model.sterna"
    path.write_bytes(b"")
    with pytest.raises(ArtifactCorrupt):
        load_module(path)
