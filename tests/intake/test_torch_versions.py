"""Archives that other versions of torch have written (tests/intake/archives, made by its make.py)."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from sterna.errors import ModelVersionUnsupported
from sterna.intake import preflight, read_model
from sterna.module import build_module

ARCHIVES = Path(__file__).with_name("archives")
NETWORKS = [
    (version, name) for version in ("torch-2.10.0", "torch-2.14.1") for name in ("mlp", "cnn", "encoder", "lstm")
]
SCHEMAS = {"torch-2.8.0": (8, 8), "torch-2.10.0": (8, 15), "torch-2.14.1": (8, 20)}


@pytest.mark.parametrize(("version", "name"), NETWORKS)
def test_networks_of_other_versions_are_what_they_were_there(version, name):
    path = ARCHIVES / version / f"{name}.pt2"
    known = np.load(path.with_suffix(".npz"))
    module = build_module(read_model(path)).eval()
    with torch.no_grad():
        (output,) = torch.utils._pytree.tree_leaves(module(torch.from_numpy(known["input"])))
    np.testing.assert_allclose(output.numpy(), known["output"], rtol=1e-5, atol=1e-6)
    assert preflight(path, None).ternarisable_weights > 0

    module.train()
    (output,) = torch.utils._pytree.tree_leaves(module(torch.from_numpy(known["input"])))
    output.square().mean().backward()
    gradients = {name: p.grad for name, p in module.named_parameters()}
    assert all(gradient is not None and bool(gradient.isfinite().all()) for gradient in gradients.values())
    assert any(bool(gradient.any()) for gradient in gradients.values())


def test_weights_that_an_old_version_pickled_are_refused_with_the_remedy():
    with pytest.raises(ModelVersionUnsupported, match=r"written by torch '2\.8\.0.*pickles the weights") as caught:
        read_model(ARCHIVES / "torch-2.8.0" / "mlp.pt2")
    assert "export the module again" in caught.value.hint


@pytest.mark.parametrize("version", SCHEMAS)
def test_the_archives_are_what_they_are_called(version):
    with zipfile.ZipFile(ARCHIVES / version / "mlp.pt2") as archive:
        program = json.loads(archive.read("mlp/models/model.json"))
    assert (program["schema_version"]["major"], program["schema_version"]["minor"]) == SCHEMAS[version]
    assert program["torch_version"].startswith(version.removeprefix("torch-"))
