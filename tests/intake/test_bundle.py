"""Bundles of transformers from their headers alone."""

import json
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save

from sterna.errors import InputError, ModelCorrupt, ModelTooLarge, ModelUnsafe, OperatorUnsupported
from sterna.intake import inspect_model, preflight

CONFIG = {"model_type": "bert", "architectures": ["BertForSequenceClassification"], "id2label": {"0": "a", "1": "b"}}
WEIGHTS = {
    "bert.embeddings.word_embeddings.weight": (50, 8), "bert.embeddings.position_embeddings.weight": (16, 8),
    "bert.encoder.layer.0.output.dense.weight": (8, 8), "bert.encoder.layer.0.output.dense.bias": (8,),
    "classifier.weight": (2, 8),
}  # fmt: skip


@pytest.fixture
def bundle(tmp_path):
    def write(config=CONFIG, weights=None, compression=zipfile.ZIP_STORED):
        path = tmp_path / "bundle.zip"
        arrays = {name: np.ones(shape, np.float32) for name, shape in WEIGHTS.items()}
        with zipfile.ZipFile(path, "w", compression) as archive:
            archive.writestr("config.json", json.dumps(config))
            archive.writestr("model.safetensors", save(arrays) if weights is None else weights)
        return path

    return write


def test_a_bundle_is_told_from_its_headers(bundle):
    found = inspect_model(bundle())
    assert (found.format, found.parameters) == ("bundle", 400 + 128 + 64 + 8 + 16)
    assert [item.name for item in found.inputs] == ["input_ids", "attention_mask"]
    assert {layer.name: (layer.kind, layer.ternarisable) for layer in found.layers} == {
        "bert.embeddings.word_embeddings.weight": ("embedding", True),
        "bert.embeddings.position_embeddings.weight": ("position", False),
        "bert.encoder.layer.0.output.dense.weight": ("linear", True),
        "classifier.weight": ("linear", True),
    }
    assert preflight(bundle(), None) == found


@pytest.mark.parametrize(
    ("architecture", "size", "shape"),
    [
        ("ResNetForImageClassification", {}, (None, 3, None, None)),
        ("ViTForImageClassification", {"image_size": 32, "num_channels": 1}, (None, 1, 32, 32)),
        ("ConvNextModel", {"image_size": [24, 32], "num_channels": 3}, (None, 3, 24, 32)),
    ],
)
def test_a_network_that_sees_takes_images(bundle, architecture, size, shape):
    weights = save({"stem.weight": np.ones((4, 3, 7, 7), np.float32), "head.weight": np.ones((2, 4), np.float32)})
    found = inspect_model(bundle({"model_type": "x", "architectures": [architecture]} | size, weights))
    assert [(item.name, item.dtype, item.shape) for item in found.inputs] == [("pixel_values", "float32", shape)]
    assert {layer.name: layer.kind for layer in found.layers} == {"stem.weight": "conv", "head.weight": "linear"}


def test_tables_of_a_language_model_are_told_by_their_names(bundle):
    weights = save({f"transformer.{name}.weight": np.ones((6, 4), np.float32) for name in ("wte", "wpe", "h")})
    found = inspect_model(bundle(CONFIG | {"architectures": ["GPT2LMHeadModel"]}, weights))
    assert {layer.name[12:15]: (layer.kind, layer.ternarisable) for layer in found.layers} == {
        "wte": ("embedding", True), "wpe": ("position", False), "h.w": ("linear", True),
    }  # fmt: skip


def test_data_is_checked_against_inputs_and_classes(bundle, tmp_path):
    ids = np.ones((6, 5), np.int64)
    np.savez(tmp_path / "data.npz", input_ids=ids, attention_mask=ids, target=np.full(6, 2))
    with pytest.raises(InputError, match="class index 2"):
        preflight(bundle(), tmp_path / "data.npz")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"auto_map": {"AutoModel": "evil--modeling.Evil"}}, ModelUnsafe),
        ({"text_config": {"auto_map": {}}}, ModelUnsafe),
        ({"custom_pipelines": {}}, ModelUnsafe),
        ({"quantization_config": {"quant_method": "x"}}, ModelUnsafe),
        ({"attn_implementation": "someone/kernel"}, ModelUnsafe),
        ({"_attn_implementation": "someone/kernel"}, ModelUnsafe),
        ({"architectures": ["EvilPipeline"]}, OperatorUnsupported),
        ({"architectures": []}, OperatorUnsupported),
        ({"model_type": 3}, ModelCorrupt),
        ({"num_hidden_layers": 10**6}, ModelTooLarge),
        ({"vocab_size": 10**12}, ModelTooLarge),
        ({"architectures": ["XForImageClassification"], "image_size": [1, 2, 3]}, ModelCorrupt),
        ({"architectures": ["XForImageClassification"], "image_size": "large"}, ModelCorrupt),
        ({"architectures": ["XForImageClassification"], "image_size": -3}, ModelCorrupt),
        ({"architectures": ["XForImageClassification"], "num_channels": [3]}, ModelCorrupt),
        ({"deep": [[[[[[[[[[1]]]]]]]]]]}, ModelTooLarge),
    ],
)
def test_configurations_that_ask_for_more_than_sizes_are_refused(bundle, change, error):
    with pytest.raises(error):
        preflight(bundle(CONFIG | change), None)


@pytest.mark.parametrize("weights", [b"", b"\xff" * 8, b"\x02\0\0\0\0\0\0\0[]", b"\x80\x04pickle..."])
def test_weights_that_are_none_are_refused(bundle, weights):
    with pytest.raises(ModelCorrupt):
        preflight(bundle(weights=weights), None)


def test_compressed_bundles_are_refused(bundle):
    with pytest.raises(InputError):
        preflight(bundle(compression=zipfile.ZIP_DEFLATED), None)
