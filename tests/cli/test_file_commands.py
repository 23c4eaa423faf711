import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from sterna.artifact import Artifact


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
