"""A bundle of transformers through the verb; the oracle is the model that saved it."""

import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
import transformers

import sterna
from api_schemas import CompressSpec
from sterna.compress import ARTIFACT_NAME, compress
from sterna.compress.bundle import runnable
from sterna.intake import read_model
from sterna.module import build_module


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    config = transformers.DistilBertConfig(
        dim=32, n_layers=1, n_heads=2, hidden_dim=64, vocab_size=60, max_position_embeddings=24, num_labels=3
    )
    return transformers.DistilBertForSequenceClassification(config).eval()


@pytest.fixture(scope="module")
def bundle(classifier, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    classifier.save_pretrained(folder)
    with zipfile.ZipFile(folder / "bundle.zip", "w") as archive:
        for name in ("config.json", "model.safetensors"):
            archive.write(folder / name, name)
    return folder / "bundle.zip"


def test_the_network_is_the_one_that_was_saved(classifier, bundle):
    with runnable(bundle) as path:
        network = read_model(path)
        module = build_module(network).eval()
    assert set(network.graph.tensors) >= set(classifier.state_dict())
    ids, mask = torch.randint(0, 60, (5, 11)), torch.ones(5, 11, dtype=torch.int64)
    mask[2, 6:] = 0
    with torch.no_grad():
        wanted = classifier(input_ids=ids, attention_mask=mask).logits
        torch.testing.assert_close(module(ids, mask), wanted, rtol=1e-4, atol=1e-5)


def test_a_bundle_becomes_an_artifact_with_exactly_the_sparsity(bundle, tmp_path):
    ids = np.random.default_rng(0).integers(0, 60, (40, 8))
    np.savez(tmp_path / "data.npz", input_ids=ids, attention_mask=np.ones_like(ids))
    spec = CompressSpec.model_validate({"target_sparsity": 0.6, "budget": {"epochs": 2}})
    result = compress(bundle, tmp_path / "data.npz", spec, tmp_path)
    assert result.sparsity == pytest.approx(0.6, abs=0.0005)
    batch = torch.from_numpy(ids[:3])
    assert sterna.load(tmp_path / ARTIFACT_NAME)(input_ids=batch, attention_mask=torch.ones_like(batch)).shape == (3, 3)


def test_without_transformers_the_extra_is_named(bundle):
    script = (
        "import sys; sys.modules['transformers'] = None\n"
        "from pathlib import Path; from sterna.compress.bundle import runnable\n"
        "from sterna.errors import UnsupportedFormat\n"
        "try:\n    runnable(Path(sys.argv[1])).__enter__()\n"
        "except UnsupportedFormat as error: print(error.hint)"
    )
    done = subprocess.run([sys.executable, "-c", script, bundle], capture_output=True, text=True, check=True)
    assert "sterna[bundles]" in done.stdout
