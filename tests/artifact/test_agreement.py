"""Files whose digests are true and whose parts contradict one another."""

import zlib

import pytest

from sterna.artifact import Artifact
from sterna.errors import ArtifactCorrupt, ArtifactDigestMismatch, ArtifactVersionUnsupported


def refuse(file, message, error=ArtifactCorrupt):
    with pytest.raises(error, match=message):
        Artifact(file)


def test_what_is_not_changed_is_sound(forge):
    Artifact(forge.build()).verify()


def test_a_tensor_too_many_or_too_few(forge):
    forge.manifest["dense"]["extra"] = 0
    refuse(forge.build(), "the header and the manifest do not list the same tensors: 'extra'")
    del forge.manifest["dense"]["extra"], forge.manifest["dense"]["fc.bias"]
    refuse(forge.build(), r"the header and the manifest do not list the same tensors: 'fc\.bias'")


def test_the_graph_knows_other_tensors(forge):
    forge.header["other"] = forge.header.pop("fc.bias")
    forge.stored = {"other": forge.stored.pop("fc.bias"), **forge.stored}
    forge.manifest["dense"] = {"other": forge.manifest["dense"]["fc.bias"]}
    refuse(forge.build(), "the manifest and the graph do not list the same tensors")


def test_a_tensor_both_ternary_and_dense(forge):
    forge.manifest["dense"]["fc.weight"] = 0
    forge.header["fc.weight"] = {"dtype": "U8", "shape": [0]}
    forge.stored["fc.weight"] = b""
    refuse(forge.build(), r"'fc\.weight' is both ternary and dense")


@pytest.mark.parametrize("name", ["a/b", "sterna/graph", "fc.weight/codes", "fc.weight/scale"])
def test_a_name_with_a_slash(forge, name):
    forge.manifest["dense"][name] = 0
    refuse(forge.build(), "has no '/'")


@pytest.mark.parametrize(("dtype", "shape"), [("I32", [2]), ("F32", [2, 1]), ("F64", [1])])
def test_a_dense_tensor_of_another_type_or_shape(forge, dtype, shape):
    forge.header["fc.bias"].update(dtype=dtype, shape=shape)
    refuse(forge.build(), r"'fc\.bias' is stored as .* the graph says 'float32' \(2,\)")


def test_a_ternary_weight_of_another_shape(forge):
    forge.manifest["ternary"]["fc.weight"]["shape"] = [3, 2]
    forge.header["fc.weight/scale"]["shape"] = [1, 2]
    refuse(forge.build(), r"shape \(3, 2\) in the manifest, \(2, 3\) in the graph")


@pytest.mark.parametrize(("dtype", "shape"), [("F32", [2]), ("F32", [1, 2]), ("F64", [1, 1]), ("I32", [2, 1])])
def test_a_scale_that_does_not_fit(forge, dtype, shape):
    forge.header["fc.weight/scale"].update(dtype=dtype, shape=shape)
    refuse(forge.build(), r"the scale of 'fc\.weight' is .* is allowed")


@pytest.mark.parametrize("name", ["fc.weight/codes", "sterna/graph"])
def test_packed_bytes_of_another_type_or_shape(forge, name):
    forge.header[name]["dtype"] = "I8"
    refuse(forge.build(), "I8 of shape .* U8 of one dimension is allowed")
    forge.header[name]["dtype"] = "U8"
    forge.header[name]["shape"] = [len(forge.stored[name]), 1]
    refuse(forge.build(), "U8 of one dimension is allowed")


@pytest.mark.parametrize("size", [1, 3])
def test_chunks_that_do_not_add_up(forge, size):
    forge.manifest["ternary"]["fc.weight"]["chunks"] = [[size, 3]]
    refuse(forge.build(), f"take 2 bytes, its chunks {size}")


def deflated(text):
    stream = zlib.compressobj(9, wbits=-15)
    return stream.compress(text) + stream.flush()


@pytest.mark.parametrize(
    ("text", "message", "error"),
    [
        (b"[]", "the graph", ArtifactCorrupt),
        (b"{}", "the graph", ArtifactCorrupt),
        (b'{"a":', "the graph is not valid JSON", ArtifactCorrupt),
        (b"[" * 100_000, "the graph is nested too deeply", ArtifactCorrupt),
    ],
)
def test_a_graph_that_is_none(forge, text, message, error):
    forge.store("sterna/graph", deflated(text))
    forge.manifest["graph"]["bytes"] = len(text)
    refuse(forge.build(), message, error)


def test_a_graph_with_a_newer_operator(forge):
    text = zlib.decompress(forge.stored["sterna/graph"], wbits=-15).replace(
        b"aten.linear.default", b"aten.newer.default"
    )
    forge.store("sterna/graph", deflated(text))
    forge.manifest["graph"]["bytes"] = len(text)
    refuse(forge.build(), r"aten\.newer\.default", ArtifactVersionUnsupported)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_graph_of_another_length(forge, change):
    forge.manifest["graph"]["bytes"] += change
    refuse(forge.build(), "the graph: the DEFLATE stream yields")


def test_a_graph_of_other_bytes(forge):
    forge.store("sterna/graph", forge.stored["sterna/graph"] + b"x", sealed=False)
    refuse(forge.build(), "CRC-32 of 'sterna/graph'", ArtifactDigestMismatch)


def test_a_manifest_of_another_digest(forge):
    header = forge.seal()
    header["__metadata__"]["sterna.manifest"] += " "
    refuse(forge.join(header, forge.data), "SHA-256 of the manifest", ArtifactDigestMismatch)
    del header["__metadata__"]["sterna.manifest_sha256"]
    refuse(forge.join(header, forge.data), "SHA-256 of the manifest", ArtifactDigestMismatch)


def test_other_metadata_are_ignored(forge):
    forge.seal()["__metadata__"]["somebody.else"] = "x"
    Artifact(forge.join(forge.header, forge.data)).verify()
