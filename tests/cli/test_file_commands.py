import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from sterna import load
from sterna.artifact import Artifact, ArtifactContents, write_artifact


def test_inspect_a_model(sterna, tiny):
    done = sterna("inspect", tiny.model, "--json", "--exclude", "2.*")

    inspection = json.loads(done.out)
    assert (inspection["format"], inspection["parameters"]) == ("pt2", 4 * 8 + 8 + 8 * 2 + 2)
    assert inspection["ternarisable_weights"] == 32
    assert inspection["inputs"] == [{"name": "input", "dtype": "float32", "shape": [None, 4]}]
    assert [(layer["name"], layer["shape"], layer["why_not"]) for layer in inspection["layers"]] == [
        ("0.weight", [8, 4], ""),
        ("2.weight", [2, 8], "excluded"),
    ]
    table = sterna("inspect", tiny.model).out
    assert "8×4" in table
    assert "48 weights can be made ternary" in table


def test_inspect_an_artifact(sterna, artifact):
    described = json.loads(sterna("inspect", artifact, "--json").out)

    with Artifact.open(artifact) as opened:
        zeros = {name: int(np.count_nonzero(opened.codes(name) == 0)) for name in ("0.weight", "2.weight")}
    assert {layer["name"]: layer["zeros"] for layer in described["layers"]} == zeros
    assert (described["zeros"], described["weights"], described["sparsity"]) == (24, 48, 0.5)
    assert described["bytes"] == artifact.stat().st_size
    assert described["report"]["target_sparsity"] == 0.5
    assert "24 of 48 weights are zero (50.0000%)" in sterna("inspect", artifact).out


def test_verify_a_good_and_a_damaged_artifact(sterna, artifact, tmp_path):
    assert json.loads(sterna("verify", artifact, "--json").out) == {
        "verified": True,
        "sparsity": 0.5,
        "weights": 48,
        "zeros": 24,
    }
    damaged = bytearray(artifact.read_bytes())
    damaged[-1] ^= 1
    path = tmp_path / "damaged.sterna"
    path.write_bytes(damaged)
    done = sterna("verify", path)
    assert (done.code, done.out) == (7, "")
    assert "error[ARTIFACT_" in done.err


@pytest.mark.parametrize("command", ["verify", "diff", "unpack"])
@pytest.mark.parametrize("kind", ["pt2", "onnx", "npz"])
def test_what_is_no_artifact_is_told_what_it_is(sterna, tiny, tiny_onnx, tmp_path, command, kind):
    file = {"pt2": tiny.model, "onnx": tiny_onnx.model, "npz": tiny.data}[kind]
    more = {"verify": (), "diff": (file,), "unpack": ("-o", tmp_path / "dense.safetensors")}[command]
    done = sterna(command, file, *more)
    assert (done.code, done.out) == (7, "")
    assert "error[UNSUPPORTED_FORMAT]: " in done.err
    assert ("an ONNX model" if kind == "onnx" else "a zip archive") in done.err
    assert "this reads artifacts (.sterna)" in done.err


def test_unpack_gives_the_dense_tensors(sterna, artifact, tmp_path):
    out = tmp_path / "dense.safetensors"
    done = sterna("unpack", artifact, "-o", out)

    assert done.code == 0
    tensors = load_file(out)
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        "0.weight": (8, 4),
        "0.bias": (8,),
        "2.weight": (2, 8),
        "2.bias": (2,),
    }
    assert np.count_nonzero(tensors["0.weight"]) + np.count_nonzero(tensors["2.weight"]) == 24


def test_inspect_tells_sizes_codecs_and_the_metric(sterna, artifact):
    described = json.loads(sterna("inspect", artifact, "--json").out)
    assert described["dense_bytes"] == 4 * (4 * 8 + 8 + 8 * 2 + 2)
    assert described["ratio"] == described["dense_bytes"] / artifact.stat().st_size
    assert sum(described["bytes_of"].values()) == artifact.stat().st_size
    names = {1: "trits", 5: "mask-ans"}
    table = sterna("inspect", artifact).out
    for layer in described["layers"]:
        assert layer["codec_name"] == names[layer["codec"]]
        assert layer["codec_name"] in table
    metric = described["report"]["metric"]
    assert metric["name"] == "accuracy"
    assert f"accuracy {metric['baseline']} before, {metric['ternary']} after" in table


def test_run_gives_what_torch_gives(sterna, artifact, tmp_path):
    inputs = np.random.default_rng(1).standard_normal((5, 4), dtype=np.float32)
    np.save(tmp_path / "x.npy", inputs)
    wanted = load(artifact)(torch.from_numpy(inputs)).detach().numpy()

    done = json.loads(sterna("run", artifact, "--input", tmp_path / "x.npy", "-o", tmp_path / "y.npz", "--json").out)
    [told] = done["outputs"]
    assert (told["dtype"], told["shape"]) == ("float32", [5, 2])
    assert np.array_equal(np.array(told["values"], np.float32), wanted)
    assert np.array_equal(np.load(tmp_path / "y.npz")[told["name"]], wanted)
    np.save(tmp_path / "double.npy", inputs.astype(np.float64))
    printed = sterna("run", artifact, "-i", f"input={tmp_path / 'double.npy'}").out
    assert "float32 5×2" in printed


def test_run_says_what_is_wrong_with_an_input(sterna, artifact, tmp_path):
    np.save(tmp_path / "thin.npy", np.zeros((5, 3), np.float32))
    np.save(tmp_path / "whole.npy", np.zeros((5, 4), np.int64))
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    (tmp_path / "no.npy").write_bytes(b"\x93NUMPY\x01")
    np.save(tmp_path / "good.npy", np.zeros((5, 4), np.float32))
    for name, code in (("thin", "DATA_MISMATCH"), ("whole", "DATA_MISMATCH"), ("objects", "DATA_"), ("no", "DATA_")):
        done = sterna("run", artifact, "-i", tmp_path / f"{name}.npy")
        assert (done.code, done.out) == (7, "")
        assert f"error[{code}" in done.err
    good = tmp_path / "good.npy"
    assert sterna("run", artifact, "-i", tmp_path / "absent.npy").code == 2
    assert sterna("run", artifact, "-i", good, "-i", good).code == 2
    assert sterna("run", artifact).code == 2


def test_diff_tells_same_from_different(sterna, artifact, tmp_path):
    same = sterna("diff", artifact, artifact)
    assert same.code == 0
    assert "the same network: 4 of 4 tensors are the same" in same.out
    with Artifact.open(artifact) as opened:
        ternary = {layer.name: opened.ternary(layer.name) for layer in opened.layers}
        dense = {name: opened.dense(name) + 1 for name in opened.manifest.dense}
        write_artifact(tmp_path / "other", ArtifactContents(opened.graph, ternary, dense, {"seed": 9}))
    done = sterna("diff", artifact, tmp_path / "other", "--json")
    assert done.code == 1
    told = json.loads(done.out)
    assert not told["same_network"]
    assert [tensor["name"] for tensor in told["tensors"] if tensor["state"] != "same"] == ["0.bias", "2.bias"]
    assert told["report"]["seed"] == [0, 9]
    assert "different networks: 2 of 4" in sterna("diff", artifact, tmp_path / "other").out


@pytest.mark.parametrize("kind", ["onnx", "gguf", "safetensors", "pt2"])
def test_export_writes_each_format(sterna, artifact, tmp_path, kind):
    done = json.loads(sterna("export", artifact, "--to", kind, "-o", tmp_path / "out", "--json").out)

    assert done == {"path": str(tmp_path / "out"), "format": kind, "bytes": (tmp_path / "out").stat().st_size}
    assert {"onnx": b"\x08\r", "gguf": b"GGUF", "pt2": b"PK\x03\x04"}.get(kind, b"") == (
        (tmp_path / "out").read_bytes()[: {"onnx": 2, "safetensors": 0}.get(kind, 4)]
    )


def test_an_export_lies_beside_the_artifact_and_never_replaces_it(sterna, artifact, tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(artifact.read_bytes())
    done = sterna("export", path, "--to", "safetensors")
    assert done.code == 2
    assert "is the artifact itself" in done.err
    assert path.read_bytes() == artifact.read_bytes()
    assert sterna("export", path, "--to", "gguf").out.startswith(f"wrote {tmp_path / 'm.gguf'}")
    assert sterna("export", artifact, "--to", "tflite").code == 2


@pytest.mark.parametrize("command", ["inspect", "verify"])
@pytest.mark.parametrize("content", [b"", b"#!/bin/sh", b"PK\x03\x04", b"\x80\x04."])
def test_a_file_that_is_neither_is_refused(sterna, tmp_path, command, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    done = sterna(command, path)
    assert (done.code, done.out) == (7, "")
    assert done.err.startswith("error[")
    assert "hint: " in done.err


def test_a_missing_file_is_a_usage_error(sterna, tmp_path):
    assert sterna("inspect", tmp_path / "none").code == 2


def test_a_place_that_cannot_be_written_is_an_error_in_words(sterna, artifact, tmp_path):
    (tmp_path / "file").touch()
    done = sterna("unpack", artifact, "-o", tmp_path / "file" / "x.safetensors")
    assert done.code == 2
    assert "error[" in done.err
