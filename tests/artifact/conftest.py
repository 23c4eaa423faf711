"""A small network of every kind of stored tensor, and a way to write any header by hand."""

import hashlib
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sterna.artifact import ArtifactContents, TernaryTensor, write_artifact
from sterna.graph import Graph, Input, Node, TensorInfo, TensorRef, ValueRef

REPORT = {"target_sparsity": 0.5, "alpha": 0.25, "metric": {"name": "accuracy", "baseline": 0.9, "ternary": 0.89}}


def network_graph(ternary_shape: tuple[int, ...] = (2, 3), extra: dict[str, TensorInfo] | None = None) -> Graph:
    """One linear layer `fc`; the extra tensors are owned and not used."""
    tensors = {
        "fc.weight": TensorInfo("parameter", "float32", ternary_shape),
        "fc.bias": TensorInfo("parameter", "float32", (2,)),
        **(extra or {}),
    }
    arguments = {"input": ValueRef("x"), "weight": TensorRef("fc.weight"), "bias": TensorRef("fc.bias")}
    node = Node("aten.linear.default", arguments, ("linear",))
    return Graph((Input("x", "float32", (None, 3)),), tensors, (node,), (ValueRef("linear"),))


@pytest.fixture
def page_contents() -> ArtifactContents:
    """The network of docs/format.md, section 7."""
    codes = np.array([[1, 0, -1], [0, 0, 1]], np.int8)
    scale = np.array([[2.0], [0.25]], np.float32)
    bias = np.array([0.5, -1.0], np.float32)
    return ArtifactContents(network_graph(), {"fc.weight": TernaryTensor(codes, scale)}, {"fc.bias": bias}, REPORT)


@pytest.fixture
def mixed_contents() -> ArtifactContents:
    """Two ternary weights and a dense tensor of each element type, an empty one and one without dimensions."""
    random = np.random.default_rng(7)
    dense = {
        "fc.bias": random.standard_normal(2).astype(np.float32),
        "bn.running_mean": random.standard_normal(5),
        "bn.num_batches_tracked": np.array(12, np.int64),
        "half": random.standard_normal((2, 3)).astype(np.float16),
        "brain": random.integers(0, 2**16, 7, dtype=np.uint16),
        "i32": random.integers(-9, 9, 3, dtype=np.int32),
        "i16": random.integers(-9, 9, 3, dtype=np.int16),
        "i8": random.integers(-9, 9, 3, dtype=np.int8),
        "u8": random.integers(0, 9, 3, dtype=np.uint8),
        "flags": np.array([True, False, True]),
        "empty": np.zeros((0, 4), np.float32),
        "fc.codes": np.ones(1, np.float32),
    }
    names = {"uint16": "bfloat16"}
    extra = {
        name: TensorInfo("buffer", names.get(str(array.dtype), str(array.dtype)), array.shape)
        for name, array in dense.items()
    }
    extra["conv.weight"] = TensorInfo("parameter", "float32", (4, 3, 5, 5))
    ternary = {
        "fc.weight": TernaryTensor(np.array([[1, 0, -1], [0, 0, 1]], np.int8), np.full((1, 1), 0.5, np.float32)),
        "conv.weight": TernaryTensor(
            random.integers(-1, 2, (4, 3, 5, 5), dtype=np.int8),
            random.standard_normal((4, 1, 1, 1)).astype(np.float32),
        ),
    }
    return ArtifactContents(network_graph(extra=extra), ternary, dense, REPORT)


@pytest.fixture(scope="session")
def graph_of() -> Callable[..., Graph]:
    """`network_graph`, for tests that need another shape."""
    return network_graph


@pytest.fixture
def page_file(tmp_path: Path, page_contents: ArtifactContents) -> bytes:
    """The small network's file, whole."""
    path = tmp_path / "page.sterna"
    write_artifact(path, page_contents)
    return path.read_bytes()


@pytest.fixture
def forge(page_file: bytes) -> "Forge":
    """The small network's file, to be changed."""
    return Forge(page_file)


class Forge:
    """A sound file taken apart; what is changed is sealed again with true digests, so that only the lie is left."""

    def __init__(self, file: bytes) -> None:
        end = 8 + int.from_bytes(file[:8], "little")
        self.header: dict[str, Any] = json.loads(file[8:end])
        self.manifest: dict[str, Any] = json.loads(self.header["__metadata__"]["sterna.manifest"])
        self.stored = {
            name: file[end:][slice(*entry["data_offsets"])]
            for name, entry in self.header.items()
            if name != "__metadata__"
        }

    def store(self, name: str, data: bytes, *, sealed: bool = True) -> None:
        """Replace the bytes of a U8 tensor; where it is the codes of one chunk, its length in the manifest, too."""
        self.stored[name] = data
        self.header[name]["shape"] = [len(data)]
        original, _, part = name.rpartition("/")
        if original and part == "codes":
            entry = self.manifest["ternary"][original]
            entry["chunks"] = [[len(data), entry["chunks"][0][1]]]
        if sealed:
            self._crc(name)

    def build(self) -> bytes:
        """The file with offsets and digests of what is stored now."""
        data = b""
        for name, piece in self.stored.items():
            self.header[name]["data_offsets"] = [len(data), len(data) + len(piece)]
            data += piece
        self.manifest["data_sha256"] = hashlib.sha256(data).hexdigest()
        return self.join(self.seal(), data)

    def seal(self) -> dict[str, Any]:
        """The header with the manifest as it is now and its true digest."""
        text = json.dumps(self.manifest)
        digest = hashlib.sha256(text.encode()).hexdigest()
        self.header["__metadata__"] = {"sterna.manifest": text, "sterna.manifest_sha256": digest}
        return self.header

    @property
    def data(self) -> bytes:
        """The stored tensors back to back."""
        return b"".join(self.stored.values())

    @staticmethod
    def join(header: object, data: bytes) -> bytes:
        """A safetensors file with any header: JSON, or the bytes of one."""
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + data

    def _crc(self, name: str) -> None:
        crc32 = zlib.crc32(self.stored[name])
        original, _, part = name.rpartition("/")
        if name == "sterna/graph":
            self.manifest["graph"]["crc32"] = crc32
        elif original:
            self.manifest["ternary"][original][f"{part}_crc32"] = crc32
