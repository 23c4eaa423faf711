"""What is written, seen by the safetensors package; the same contents give the same bytes."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors import safe_open

from sterna.artifact import Artifact, ArtifactContents, TernaryTensor, write_artifact
from sterna.errors import InvalidSpec, ModelCorrupt
from sterna.graph import TensorInfo, ValueRef


def test_the_safetensors_package_opens_it(tmp_path, mixed_contents):
    write_artifact(tmp_path / "m.sterna", mixed_contents)
    with safe_open(tmp_path / "m.sterna", "numpy") as file:
        packed = {f"{name}/{part}" for name in mixed_contents.ternary for part in ("codes", "scale")}
        assert set(file.keys()) == {"sterna/graph"} | packed | set(mixed_contents.dense)
        for name, array in mixed_contents.dense.items():
            if name == "brain":  # numpy has no bfloat16 to give it back in
                continue
            seen = file.get_tensor(name)
            assert (seen.dtype, seen.shape, seen.tobytes()) == (array.dtype, array.shape, array.tobytes())
        for name, weight in mixed_contents.ternary.items():
            assert np.array_equal(file.get_tensor(f"{name}/scale"), weight.scale)
            assert file.get_tensor(f"{name}/codes").dtype == np.uint8
        manifest = json.loads(file.metadata()["sterna.manifest"])
        assert manifest["report"] == mixed_contents.report


def test_all_data_are_aligned_to_their_elements(tmp_path, mixed_contents):
    write_artifact(tmp_path / "m.sterna", mixed_contents)
    with Artifact.open(tmp_path / "m.sterna") as artifact:
        for name in mixed_contents.dense:
            assert artifact.dense(name).flags.aligned


def test_same_contents_same_bytes(tmp_path, mixed_contents):
    reversed_contents = dataclasses.replace(
        mixed_contents,
        ternary=dict(reversed(mixed_contents.ternary.items())),
        dense=dict(reversed(mixed_contents.dense.items())),
        report=dict(reversed(mixed_contents.report.items())),
    )
    first = write_artifact(tmp_path / "1", mixed_contents)
    second = write_artifact(tmp_path / "2", reversed_contents)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    assert first == second


def test_the_summary_is_that_of_the_file(tmp_path, mixed_contents):
    summary = write_artifact(tmp_path / "m.sterna", mixed_contents)
    file = (tmp_path / "m.sterna").read_bytes()
    assert summary.file_bytes == len(file)
    assert summary.sha256 == hashlib.sha256(file).hexdigest()
    zeros = sum(weight.codes.ravel().tolist().count(0) for weight in mixed_contents.ternary.values())
    assert (summary.weights, summary.zeros) == (306, zeros)
    assert [layer.name for layer in summary.layers] == ["fc.weight", "conv.weight"]
    assert summary.scale_bytes == 4 * 5
    with Artifact.open(tmp_path / "m.sterna") as artifact:
        for field in dataclasses.fields(artifact.listing):
            assert getattr(artifact.listing, field.name) == getattr(summary, field.name)


def test_the_version_is_the_lowest_that_has_the_codecs(tmp_path, page_contents):
    def written(codes):
        weight = TernaryTensor(codes, np.ones((1, 1), np.float32))
        graph = dataclasses.replace(page_contents.graph, tensors=tensors_of(codes.shape))
        contents = dataclasses.replace(page_contents, graph=graph, ternary={"fc.weight": weight})
        write_artifact(tmp_path / "m.sterna", contents)
        with Artifact.open(tmp_path / "m.sterna") as artifact:
            assert np.array_equal(artifact.codes("fc.weight"), codes)
            return artifact.layers[0].codec, artifact.manifest.version

    def tensors_of(shape):
        info = dataclasses.replace(page_contents.graph.tensors["fc.weight"], shape=shape)
        return {**page_contents.graph.tensors, "fc.weight": info}

    codes = np.random.default_rng(1).integers(-1, 2, (128, 129), dtype=np.int8)
    assert written(codes[:2, :3]) == (1, 1)
    assert written(codes[:, :128]) == (5, 2)
    assert written(codes)[1] == 1


@pytest.mark.parametrize(("rows", "version"), [(77, 1), (79, 2)])
def test_a_tenth_of_the_weights_in_small_tensors_makes_version_2(tmp_path, graph_of, rows, version):
    random = np.random.default_rng(2)
    shapes = {"fc.weight": (rows, 128), "big.weight": (300, 300)}
    ternary = {
        name: TernaryTensor(random.integers(-1, 2, shape, dtype=np.int8), np.ones((1, 1), np.float32))
        for name, shape in shapes.items()
    }
    graph = graph_of(shapes["fc.weight"], {"big.weight": TensorInfo("parameter", "float32", shapes["big.weight"])})
    write_artifact(tmp_path / "m", ArtifactContents(graph, ternary, {"fc.bias": np.zeros(2, np.float32)}))
    with Artifact.open(tmp_path / "m") as artifact:
        assert artifact.manifest.version == version
        assert (artifact.layers[0].codec == 5) == (version == 2)
        artifact.verify()


scales = hnp.from_dtype(np.dtype(np.float32), allow_nan=False, allow_infinity=False)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), shape=hnp.array_shapes(min_dims=0, max_dims=5, max_side=7), chunk_weights=st.integers(1, 200))
def test_round_trip_is_bit_exact(data, shape, chunk_weights, tmp_path_factory, graph_of):
    codes = data.draw(hnp.arrays(np.int8, shape, elements=st.integers(-1, 1), fill=st.just(np.int8(0))))
    scale_shape = tuple(data.draw(st.sampled_from([1, size])) for size in shape)
    scale = data.draw(hnp.arrays(np.float32, scale_shape, elements=scales))
    bias = data.draw(hnp.arrays(np.uint32, 2)).view(np.float32)  # NaN payloads as well
    if data.draw(st.booleans()):
        codes = codes.T.copy().T  # the same values, not contiguous
    contents = ArtifactContents(graph_of(shape), {"fc.weight": TernaryTensor(codes, scale)}, {"fc.bias": bias})
    path = tmp_path_factory.getbasetemp() / "round_trip.sterna"
    write_artifact(path, contents, chunk_weights=chunk_weights)
    with Artifact.open(path) as artifact:
        artifact.verify()
        assert artifact.graph == contents.graph
        weight = artifact.ternary("fc.weight")
        assert weight.codes.shape == codes.shape
        assert weight.codes.tobytes() == codes.tobytes()
        assert weight.scale.tobytes() == scale.tobytes()
        assert artifact.dense("fc.bias").tobytes() == bias.tobytes()
        assert artifact.dense("fc.weight").tobytes() == (scale * codes).tobytes()


def refuse(tmp_path, contents, message, error=InvalidSpec, **options):
    with pytest.raises(error, match=message):
        write_artifact(tmp_path / "x", contents, **options)
    assert list(tmp_path.iterdir()) == []


def test_contents_that_make_no_network_are_refused(tmp_path, page_contents):
    change = dataclasses.replace
    weight, bias = page_contents.ternary["fc.weight"], page_contents.dense["fc.bias"]
    refuse(tmp_path, change(page_contents, ternary={}), "no ternary weight")
    refuse(tmp_path, change(page_contents, dense={}), "'fc.bias'")
    refuse(tmp_path, change(page_contents, dense={"fc.bias": bias, "other": bias}), "'other'")
    refuse(tmp_path, change(page_contents, dense={"fc.bias": bias, "fc.weight": weight.dense()}), "'fc.weight'")
    refuse(tmp_path, change(page_contents, dense={"fc.bias": bias.astype(np.float64)}), "float64")
    refuse(tmp_path, change(page_contents, dense={"fc.bias": bias.astype(">f4")}), "'fc.bias' is >f4")
    refuse(tmp_path, change(page_contents, dense={"fc.bias": bias[:1]}), r"\(1,\)")
    flat = TernaryTensor(weight.codes.reshape(-1), np.ones(1, np.float32))
    refuse(tmp_path, change(page_contents, ternary={"fc.weight": flat}), r"shape \(6,\), the graph says \(2, 3\)")
    graph = change(page_contents.graph, outputs=(ValueRef("nothing"),))
    refuse(tmp_path, change(page_contents, graph=graph), "nothing", ModelCorrupt)


@pytest.mark.parametrize("report", [{"loss": float("nan")}, {"when": object()}, {"loss": np.float32(1)}])
def test_a_report_that_is_not_json_is_refused(tmp_path, page_contents, report):
    refuse(tmp_path, dataclasses.replace(page_contents, report=report), "the report is not JSON")


@pytest.mark.parametrize("chunk_weights", [0, -1, 2**24 + 1])
def test_chunks_outside_of_the_limits_are_refused(tmp_path, page_contents, chunk_weights):
    refuse(tmp_path, page_contents, "chunk_weights is", chunk_weights=chunk_weights)
