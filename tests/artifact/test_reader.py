"""What a reader gives, when it decodes, and what stays valid after it is closed."""

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from sterna.artifact import Artifact, is_artifact, write_artifact
from sterna.artifact import reader as reader_module
from sterna.errors import ArtifactCorrupt, NotFound, UnsupportedFormat


@pytest.fixture
def path(tmp_path, mixed_contents):
    write_artifact(tmp_path / "m.sterna", mixed_contents)
    return tmp_path / "m.sterna"


def test_it_gives_back_what_was_written(path, mixed_contents):
    with Artifact.open(path) as artifact:
        assert artifact.graph == mixed_contents.graph
        assert artifact.report == mixed_contents.report
        for name, weight in mixed_contents.ternary.items():
            assert np.array_equal(artifact.codes(name), weight.codes)
            assert np.array_equal(artifact.scale(name), weight.scale)
            assert np.array_equal(artifact.dense(name), weight.scale * weight.codes)
        for name, array in mixed_contents.dense.items():
            seen = artifact.dense(name)
            assert (seen.dtype, seen.shape, seen.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_layers_are_listed_without_decoding(path, mixed_contents, monkeypatch):
    monkeypatch.setattr(reader_module, "decode", None)
    with Artifact.open(path) as artifact:
        linear, conv = artifact.layers
    codes = mixed_contents.ternary["conv.weight"].codes
    assert (linear.name, linear.shape, linear.weights, linear.zeros) == ("fc.weight", (2, 3), 6, 3)
    assert (linear.codec, linear.payload_bytes, linear.scale_shape) == (1, 2, (1, 1))
    assert (linear.sparsity, linear.bits_per_weight) == (0.5, 16 / 6)
    assert (conv.shape, conv.zeros, conv.scale_shape) == ((4, 3, 5, 5), codes.size - np.sum(codes != 0), (4, 1, 1, 1))


def test_chunks_come_one_by_one_and_in_order(tmp_path, mixed_contents):
    write_artifact(tmp_path / "m", mixed_contents, chunk_weights=100)
    codes = mixed_contents.ternary["conv.weight"].codes
    with Artifact.open(tmp_path / "m") as artifact:
        parts = list(artifact.chunks("conv.weight"))
        assert [part.size for part in parts] == [100, 100, 100]
        assert np.array_equal(np.concatenate(parts), codes.ravel())
        assert np.array_equal(artifact.codes("conv.weight", threads=2), codes)


def test_a_bad_chunk_is_met_when_it_is_reached(tmp_path, mixed_contents, monkeypatch):
    write_artifact(tmp_path / "m", mixed_contents, chunk_weights=100)
    with Artifact.open(tmp_path / "m") as artifact:
        entry = artifact.manifest.ternary["conv.weight"]
        lying = [*entry.chunks[:2], replace(entry.chunks[2], zeros=entry.chunks[2].zeros + 1)]
        monkeypatch.setitem(artifact.manifest.ternary, "conv.weight", replace(entry, chunks=tuple(lying)))
        chunks = artifact.chunks("conv.weight")
        assert [next(chunks).size, next(chunks).size] == [100, 100]
        with pytest.raises(ArtifactCorrupt, match=r"'conv\.weight': chunk 2: "):
            next(chunks)
        for threads in (1, 2):
            with pytest.raises(ArtifactCorrupt, match="chunk 2: "):
                artifact.codes("conv.weight", threads=threads)


def test_sums_are_those_of_the_layers(path):
    with Artifact.open(path) as artifact:
        payload = sum(layer.payload_bytes for layer in artifact.layers)
        assert artifact.sparsity == sum(layer.zeros for layer in artifact.layers) / 306
        assert artifact.bits_per_weight == 8 * payload / 306
        dense = sum(artifact.dense(name).nbytes for name in artifact.manifest.dense)
        assert artifact.listing.overhead_bytes == path.stat().st_size - payload - 4 * 5 - dense


def test_arrays_outlive_the_reader(path, mixed_contents):
    with Artifact.open(path) as artifact:
        mean = artifact.dense("bn.running_mean")
        scale = artifact.scale("conv.weight")
    assert np.array_equal(mean, mixed_contents.dense["bn.running_mean"])
    assert np.array_equal(scale, mixed_contents.ternary["conv.weight"].scale)
    with pytest.raises(ValueError, match="read-only"):
        mean[0] = 0
    scale[0] = 0


def test_a_closed_artifact_gives_nothing_more(path):
    artifact = Artifact.open(path)
    artifact.close()
    artifact.close()
    with pytest.raises(ValueError, match="released"):
        artifact.codes("fc.weight")


@pytest.mark.parametrize("ask", ["codes", "scale", "ternary"])
def test_only_ternary_weights_have_codes(path, ask):
    with Artifact.open(path) as artifact, pytest.raises(NotFound, match=r"'fc\.bias'"):
        getattr(artifact, ask)("fc.bias")


@pytest.mark.parametrize("name", ["nothing", "sterna/graph", "fc.weight/scale"])
def test_only_tensors_of_the_network_are_given(path, name):
    with Artifact.open(path) as artifact, pytest.raises(NotFound):
        artifact.dense(name)


def test_other_safetensors_files_are_told_apart(tmp_path, path):
    save_file({"a": np.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(UnsupportedFormat, match=r"without sterna\.manifest"):
        Artifact.open(tmp_path / "other.safetensors")
    assert is_artifact(path)
    assert not is_artifact(tmp_path / "other.safetensors")


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "empty").touch()
    with pytest.raises(ArtifactCorrupt, match="empty"):
        Artifact.open(tmp_path / "empty")
    assert not is_artifact(tmp_path / "empty")


def test_no_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        Artifact.open(tmp_path / "nothing")
