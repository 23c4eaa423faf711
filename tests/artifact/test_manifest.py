"""Every member of the manifest, missing, of a wrong type, or out of range."""

import json

import pytest

from sterna.artifact.manifest import manifest_from_text, manifest_to_text
from sterna.errors import ArtifactCorrupt, ArtifactVersionUnsupported


def sound():
    weight = {"shape": [2, 3], "codec": 1, "chunks": [[1, 2], [1, 1]], "codes_crc32": 1, "scale_crc32": 2}
    return {
        "version": 1,
        "chunk_weights": 4,
        "ternary": {"fc.weight": weight},
        "dense": {"fc.bias": 3},
        "graph": {"bytes": 10, "crc32": 4},
        "data_sha256": "0123456789abcdef" * 4,
        "report": {"metric": [1, None]},
    }


def test_round_trip():
    manifest = manifest_from_text(json.dumps(sound()))
    assert json.loads(manifest_to_text(manifest)) == sound()
    entry = manifest.ternary["fc.weight"]
    assert (entry.weights, entry.zeros, entry.payload_bytes) == (6, 3, 2)


def changed(path, value):
    manifest = sound()
    at = manifest
    for step in path[:-1]:
        at = at[step]
    if value is KeyError:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return json.dumps(manifest)


WEIGHT = ("ternary", "fc.weight")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("version",), KeyError, "version is null"),
        (("version",), "1", "version is a string"),
        (("version",), 0, "version is outside"),
        (("extra",), 1, "'extra'"),
        (("report",), KeyError, "'report'"),
        (("report",), [], "report is a list"),
        (("chunk_weights",), 0, "chunk_weights is outside"),
        (("chunk_weights",), 2**24 + 1, "chunk_weights is outside"),
        (("data_sha256",), "0" * 63, "64 lower-case"),
        (("data_sha256",), "A" * 64, "64 lower-case"),
        (("data_sha256",), "0" * 64 + "\n", "64 lower-case"),
        (("data_sha256",), 5, "data_sha256 is a number"),
        (("ternary",), {}, "no ternary weight"),
        (("ternary",), [], "ternary is a list"),
        (("dense",), [], "dense is a list"),
        (("dense", "fc.bias"), -1, "outside of 0"),
        (("dense", "fc.bias"), 2**32, "outside of 0"),
        (("graph",), {"bytes": 10}, "'crc32'"),
        (("graph", "bytes"), 2**24 + 1, "graph: bytes is outside"),
        (("graph", "crc32"), None, "graph: crc32 is null"),
        (WEIGHT, 1, "a number, an object"),
        ((*WEIGHT, "zeros"), 3, "'zeros'"),
        ((*WEIGHT, "codec"), 0, "codec 0 is not a codec"),
        ((*WEIGHT, "codec"), True, "codec is a truth value"),
        ((*WEIGHT, "shape"), [0, 3], "a size is outside"),
        ((*WEIGHT, "shape"), [2**33], "a size is outside"),
        ((*WEIGHT, "shape"), [2**20, 2**20], "at most 4294967296 are allowed"),
        ((*WEIGHT, "shape"), [1] * 15 + [2, 3], "17 elements, at most 16"),
        ((*WEIGHT, "chunks"), [[1, 2]], "1 chunks for 6 weights, 2 are needed"),
        ((*WEIGHT, "chunks"), [[1, 2]] * 3, "3 elements, at most 2"),
        ((*WEIGHT, "chunks"), [[1, 2], [1]], "1 elements, 2 are allowed"),
        ((*WEIGHT, "chunks"), [[1, 2], [1, 1, 1]], "3 elements, at most 2"),
        ((*WEIGHT, "chunks"), [[1, 2], 1], "chunk 1 is a number"),
        ((*WEIGHT, "chunks"), [[1, 5], [1, 1]], "chunk 0: zeros is outside of 0 … 4"),
        ((*WEIGHT, "chunks"), [[1, 2], [1, 3]], "chunk 1: zeros is outside of 0 … 2"),
        ((*WEIGHT, "chunks"), [[0, 2], [1, 1]], "chunk 0: bytes is outside"),
        ((*WEIGHT, "chunks"), [[1, 2], [-1, 1]], "chunk 1: bytes is outside"),
        ((*WEIGHT, "codes_crc32"), 1.5, "codes_crc32 is a number"),
        ((*WEIGHT, "scale_crc32"), KeyError, "'scale_crc32'"),
    ],
)
def test_what_a_manifest_may_not_say(path, value, message):
    with pytest.raises(ArtifactCorrupt, match=message):
        manifest_from_text(changed(path, value))


@pytest.mark.parametrize("value", [3, 99])
def test_another_version_is_refused_before_its_members_are_looked_at(value):
    with pytest.raises(
        ArtifactVersionUnsupported, match=f"format version {value}, this reader knows 1 and 2"
    ) as caught:
        manifest_from_text(json.dumps({"version": value, "new": True}))
    assert "newer" in caught.value.hint


def test_an_unknown_codec_is_refused():
    with pytest.raises(ArtifactVersionUnsupported, match="codec 6, this reader knows 1, 2, 3, 4, 5"):
        manifest_from_text(changed((*WEIGHT, "codec"), 6))


def test_both_versions_are_read_and_kept():
    for version in (1, 2):
        manifest = manifest_from_text(changed(("version",), version))
        assert json.loads(manifest_to_text(manifest)) == sound() | {"version": version}


def test_codec_5_is_of_version_2_and_of_small_tensors():
    manifest = sound()
    manifest["chunk_weights"] = 2**20
    weight = manifest["ternary"]["fc.weight"]
    weight.update(codec=5, shape=[128, 128], chunks=[[3000, 4096]])
    with pytest.raises(ArtifactCorrupt, match="codec 5 in a file of version 1, it is allowed from version 2 on"):
        manifest_from_text(json.dumps(manifest))
    manifest["version"] = 2
    assert manifest_from_text(json.dumps(manifest)).ternary["fc.weight"].codec == 5
    weight.update(shape=[16385])
    with pytest.raises(ArtifactCorrupt, match="codec 5 for 16385 weights, at most 16384 are allowed"):
        manifest_from_text(json.dumps(manifest))


def test_few_bytes_for_many_weights_are_refused():
    manifest = sound()
    manifest["chunk_weights"] = 4096
    manifest["ternary"]["fc.weight"].update(shape=[4096], chunks=[[3, 4096]])
    with pytest.raises(ArtifactCorrupt, match="3 bytes for 4096 weights, at most 1024 weights a byte"):
        manifest_from_text(json.dumps(manifest))
    manifest["ternary"]["fc.weight"].update(chunks=[[4, 4096]])
    manifest_from_text(json.dumps(manifest))
