"""The unpacked file is a plain state dict for everyone else's readers."""

import os

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from sterna.artifact import unpack_artifact, write_artifact
from sterna.errors import ArtifactDigestMismatch, InvalidSpec


def test_safetensors_and_torch_read_every_tensor(tmp_path, mixed_contents):
    write_artifact(tmp_path / "m.sterna", mixed_contents)
    unpack_artifact(tmp_path / "m.sterna", tmp_path / "dense.safetensors")
    state = load_file(tmp_path / "dense.safetensors")
    assert state.keys() == mixed_contents.graph.tensors.keys()
    for name, weight in mixed_contents.ternary.items():
        assert torch.equal(state[name], torch.from_numpy(weight.scale) * torch.from_numpy(weight.codes))
    for name, array in mixed_contents.dense.items():
        bits = state[name].view(torch.uint16) if name == "brain" else state[name]
        assert bits.numpy().tobytes() == array.tobytes()
        assert state[name].shape == array.shape
        assert str(state[name].dtype) == f"torch.{mixed_contents.graph.tensors[name].dtype}"
    with safe_open(tmp_path / "dense.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_the_bytes_are_the_same_each_time(tmp_path, mixed_contents):
    write_artifact(tmp_path / "m.sterna", mixed_contents)
    unpack_artifact(tmp_path / "m.sterna", tmp_path / "1")
    unpack_artifact(tmp_path / "m.sterna", tmp_path / "2")
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_a_damaged_artifact_leaves_no_file(tmp_path, page_file):
    position = page_file.index(np.array([2, 0.25], np.float32).tobytes())
    (tmp_path / "bad").write_bytes(page_file[:position] + b"\1" + page_file[position + 1 :])
    with pytest.raises(ArtifactDigestMismatch):
        unpack_artifact(tmp_path / "bad", tmp_path / "out")
    assert not any(path.name.startswith("out") for path in tmp_path.iterdir())


def test_what_is_no_regular_file_is_not_replaced(tmp_path, mixed_contents):
    write_artifact(tmp_path / "a.sterna", mixed_contents)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidSpec, match="is no regular file"):
        unpack_artifact(tmp_path / "a.sterna", tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()
