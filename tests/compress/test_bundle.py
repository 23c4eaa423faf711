"""A bundle of transformers through the verb; the oracle is the model that saved it."""

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import save_file

import sterna
from api_schemas import CompressSpec
from sterna.compress import ARTIFACT_NAME, compress
from sterna.compress.bundle import runnable
from sterna.errors import ModelCorrupt
from sterna.intake import read_model
from sterna.module import build_module


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    config = transformers.DistilBertConfig(
        dim=32, n_layers=1, n_heads=2, hidden_dim=64, vocab_size=60, max_position_embeddings=24, num_labels=3
    )
    return transformers.DistilBertForSequenceClassification(config).eval()


def zipped(network, folder):
    network.save_pretrained(folder)
    with zipfile.ZipFile(folder / "bundle.zip", "w") as archive:
        for name in ("config.json", "model.safetensors"):
            archive.write(folder / name, name)
    return folder / "bundle.zip"


@pytest.fixture(scope="module")
def bundle(classifier, tmp_path_factory):
    return zipped(classifier, tmp_path_factory.mktemp("bundle"))


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


ATTENTION = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
OTHERS = {
    # the head is the table of words
    "GPT2LMHeadModel": {"n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 24},
    # the file has each expert's weights, the module has them stacked
    "MixtralForCausalLM": {**ATTENTION, "num_key_value_heads": 1, "num_local_experts": 3},
    # the file has the names of older versions
    "ViTForImageClassification": {**ATTENTION, "image_size": 32, "patch_size": 8, "num_labels": 3},
    # takes images of any size
    "ResNetForImageClassification": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "num_labels": 3},
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_families_and_tasks_are_what_was_saved(name, tmp_path):
    torch.manual_seed(0)
    kind, sees = getattr(transformers, name), name.endswith("ForImageClassification")
    words = {} if sees else {"vocab_size": 60, "bos_token_id": 1, "eos_token_id": 2}
    network = kind(kind.config_class(**OTHERS[name], **words)).eval()
    with runnable(zipped(network, tmp_path)) as path:
        module = build_module(read_model(path)).eval()
    assert module.state_dict().keys() <= network.state_dict().keys()
    for batch in (1, 3):
        ids, images = torch.randint(0, 60, (batch, 7)), torch.randn(batch, 3, 32, 32)
        given = {"pixel_values": images} if sees else {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        with torch.no_grad():
            torch.testing.assert_close(module(**given), network(**given).logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [None, (7, 7)])
def test_weights_of_another_configuration_are_refused(classifier, tmp_path, shape):
    state = classifier.state_dict()
    del state["pre_classifier.weight"]
    if shape is not None:
        state["pre_classifier.weight"] = torch.ones(shape)
    save_file(state, tmp_path / "model.safetensors")
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as archive:
        archive.write(tmp_path / "model.safetensors", "model.safetensors")
        archive.writestr(
            "config.json", json.dumps(classifier.config.to_dict() | {"architectures": [type(classifier).__name__]})
        )
    with pytest.raises(ModelCorrupt, match="do not fit its configuration"), runnable(tmp_path / "bundle.zip"):
        pass


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
