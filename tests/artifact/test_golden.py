"""A file of each format version, kept as it was written once: every later reader gives back the same network.

Not rewritten when the writer improves. Deflated parts are compared by what they decode to, because builds of zlib
deflate differently; the rest byte by byte. Both hold the same network: in version 1 codecs 1 to 4, in version 2
codec 5 wherever it is smallest.
"""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from sterna.artifact import Artifact, ArtifactContents, TernaryTensor, write_artifact
from sterna.graph import Graph, Input, Node, TensorInfo, TensorRef, ValueRef

GOLDEN = {version: Path(__file__).with_name("golden") / f"version-{version}.sterna" for version in (1, 2)}
SHA256 = {
    1: "58f80e859dc9f98eb9e664e406dd844c40c5b4d6324134397f18a8bc7b4f44b3",
    2: "5383646838879d2f9e089ca14b531993f71f51107d9fcdef4dd358e6af05de3e",
}
CODECS_OF = {
    1: {"trits.weight": 1, "positive.weight": 2, "mask.weight": 3, "gaps.weight": 4},
    2: {"trits.weight": 1, "positive.weight": 5, "mask.weight": 5, "gaps.weight": 5},
}


def chance(name, count):
    """Numbers in [0, 256), the same on every machine and in every version of numpy."""
    blocks = (hashlib.sha256(f"{name} {block}".encode()).digest() for block in range(count // 32 + 1))
    return np.frombuffer(b"".join(blocks), np.uint8)[:count].astype(int)


def weight(name, shape, zeros_of_256, negative_of_256):
    count = int(np.prod(shape))
    signs = np.where(chance(f"{name} sign", count) < negative_of_256, -1, 1)
    codes = np.where(chance(name, count) < zeros_of_256, 0, signs).astype(np.int8).reshape(shape)
    scale = (1 + chance(f"{name} scale", shape[0]).astype(np.float32)) / 64
    return TernaryTensor(codes, scale.reshape(-1, *[1] * (len(shape) - 1)))


TERNARY = {
    "trits.weight": weight("a", (4, 6), 128, 128),
    "positive.weight": weight("b", (10, 6, 3, 5), 128, 0),
    "mask.weight": weight("c", (30, 50), 128, 128),
    "gaps.weight": weight("d", (30, 50), 243, 128),
}
DENSE = {
    "trits.bias": np.array([0.5, -1, np.inf, 3], np.float32),
    "steps": np.array(-3, np.int64),
    "brain": np.array([0x3F80, 0xBF80], np.uint16),
}


def contents():
    tensors = {name: TensorInfo("parameter", "float32", item.codes.shape) for name, item in TERNARY.items()}
    tensors["trits.bias"] = TensorInfo("parameter", "float32", (4,))
    tensors["steps"] = TensorInfo("buffer", "int64", ())
    tensors["brain"] = TensorInfo("constant", "bfloat16", (2,))
    arguments = {"input": ValueRef("x"), "weight": TensorRef("trits.weight"), "bias": TensorRef("trits.bias")}
    node = Node("aten.linear.default", arguments, ("y",))
    graph = Graph((Input("x", "float32", (None, 6)),), tensors, (node,), (ValueRef("y"),))
    return ArtifactContents(graph, TERNARY, DENSE, {"target_sparsity": 0.7, "alpha": None, "note": "é"})


@pytest.mark.parametrize("version", GOLDEN)
def test_its_bytes_are_those_of_the_day(version):
    assert hashlib.sha256(GOLDEN[version].read_bytes()).hexdigest() == SHA256[version]


@pytest.mark.parametrize("version", GOLDEN)
def test_it_still_gives_the_same_network(version):
    with Artifact.open(GOLDEN[version]) as artifact:
        artifact.verify()
        assert artifact.manifest.version == version
        assert artifact.graph == contents().graph
        assert artifact.report == contents().report
        assert {layer.name: layer.codec for layer in artifact.layers} == CODECS_OF[version]
        for name, expected in TERNARY.items():
            assert np.array_equal(artifact.codes(name), expected.codes)
            assert np.array_equal(artifact.scale(name), expected.scale)
        for name, array in DENSE.items():
            assert artifact.dense(name).tobytes() == array.tobytes()
            assert artifact.dense(name).dtype == array.dtype


NOT_DEFLATED = [*[f"{name}/scale" for name in TERNARY], *DENSE]


@pytest.mark.parametrize(
    ("version", "name"),
    [
        *[(1, name) for name in ("trits.weight/codes", *NOT_DEFLATED)],
        *[(2, name) for name in (*[f"{name}/codes" for name in TERNARY], *NOT_DEFLATED)],
    ],
)
def test_what_is_not_deflated_is_written_as_then(tmp_path, version, name):
    write_artifact(tmp_path / "now.sterna", contents())
    pieces = []
    for path in (GOLDEN[version], tmp_path / "now.sterna"):
        file = path.read_bytes()
        with Artifact(file) as artifact:
            stored, start = artifact._header.tensors[name], artifact._header.data_start
            pieces.append(file[start + stored.begin : start + stored.end])
    assert pieces[0] == pieces[1]
