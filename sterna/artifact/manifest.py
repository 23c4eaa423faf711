"""The manifest: how the stored tensors become those of the network (docs/format.md, section 4).

What comes out of `manifest_from_text` is complete, of the right types and within the limits; whether it agrees with the
header and with the graph is for `agreement.py` to say.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sterna.artifact.codec import CODECS, Chunk
from sterna.artifact.json_text import (
    expect_integer,
    expect_list,
    expect_object,
    expect_string,
    from_text,
    short,
    to_text,
)
from sterna.artifact.limits import (
    MAX_CHUNK_WEIGHTS,
    MAX_DIMENSIONS,
    MAX_GRAPH_JSON_BYTES,
    MAX_SIZE,
    MAX_TERNARY_WEIGHTS,
    MAX_WEIGHTS_PER_BYTE,
)
from sterna.errors import ArtifactCorrupt, ArtifactVersionUnsupported

VERSIONS = (1, 2)
"""Those that are read. A file is of the lowest that has its codecs, so that older readers read what they can."""

_MEMBERS = ("version", "chunk_weights", "ternary", "dense", "graph", "data_sha256", "report")
_TERNARY_MEMBERS = ("shape", "codec", "chunks", "codes_crc32", "scale_crc32")
_NEWER = "Install a newer version of Sterna."


@dataclass(frozen=True, slots=True)
class TernaryEntry:
    """How one ternary weight is stored."""

    shape: tuple[int, ...]
    codec: int
    chunks: tuple[Chunk, ...]
    codes_crc32: int
    scale_crc32: int

    @property
    def weights(self) -> int:
        """Number of codes."""
        return math.prod(self.shape)

    @property
    def zeros(self) -> int:
        """Number of codes that are 0."""
        return sum(chunk.zeros for chunk in self.chunks)

    @property
    def payload_bytes(self) -> int:
        """Length of the stored codes."""
        return sum(chunk.size_bytes for chunk in self.chunks)


@dataclass(frozen=True, slots=True)
class GraphEntry:
    """How the graph is stored: length of its JSON text, CRC-32 of the deflated bytes."""

    text_bytes: int
    crc32: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that the manifest says.

    Attributes:
        ternary: by original name.
        dense: CRC-32 of the stored bytes, by original name.
        report: JSON of the maker's, as it was given.
    """

    version: int
    chunk_weights: int
    ternary: Mapping[str, TernaryEntry]
    dense: Mapping[str, int]
    graph: GraphEntry
    data_sha256: str
    report: Mapping[str, Any]


def manifest_to_text(manifest: Manifest) -> str:
    """Give the JSON text of a manifest.

    Raises:
        TypeError, ValueError: the report is not JSON, or holds NaN or infinity.
    """
    return to_text(
        {
            "version": manifest.version,
            "chunk_weights": manifest.chunk_weights,
            "ternary": {name: _entry_to_json(entry) for name, entry in manifest.ternary.items()},
            "dense": dict(manifest.dense),
            "graph": {"bytes": manifest.graph.text_bytes, "crc32": manifest.graph.crc32},
            "data_sha256": manifest.data_sha256,
            "report": dict(manifest.report),
        }
    )


def manifest_from_text(text: str) -> Manifest:
    """Read a manifest and check every member of it.

    Raises:
        ArtifactCorrupt: not JSON, a member is missing, unknown, of a wrong type or above its limit.
        ArtifactVersionUnsupported: of another version, or with a codec that is not known.
    """
    members = expect_object(from_text(text, "the manifest"), "the manifest")
    version = expect_integer(members.get("version"), "the manifest's version", least=1, most=2**31)
    if version not in VERSIONS:
        known = " and ".join(map(str, VERSIONS))
        raise ArtifactVersionUnsupported(f"format version {version}, this reader knows {known}", hint=_NEWER)
    expect_object(members, "the manifest", _MEMBERS)
    chunk_weights = expect_integer(members["chunk_weights"], "chunk_weights", least=1, most=MAX_CHUNK_WEIGHTS)
    ternary = expect_object(members["ternary"], "ternary")
    dense = expect_object(members["dense"], "dense")
    if not ternary:
        raise ArtifactCorrupt("the manifest lists no ternary weight, at least one is needed")
    entries = {name: _entry_from_json(name, value, chunk_weights) for name, value in ternary.items()}
    for name, entry in entries.items():
        _check_codec(f"ternary weight {short(name)}", entry, version)
    return Manifest(
        version=version,
        chunk_weights=chunk_weights,
        ternary=entries,
        dense={name: _crc32(value, f"CRC-32 of {short(name)}") for name, value in dense.items()},
        graph=_graph_from_json(members["graph"]),
        data_sha256=_sha256(members["data_sha256"]),
        report=expect_object(members["report"], "report"),
    )


def _entry_to_json(entry: TernaryEntry) -> dict[str, object]:
    return {
        "shape": list(entry.shape),
        "codec": entry.codec,
        "chunks": [[chunk.size_bytes, chunk.zeros] for chunk in entry.chunks],
        "codes_crc32": entry.codes_crc32,
        "scale_crc32": entry.scale_crc32,
    }


def _entry_from_json(name: str, value: object, chunk_weights: int) -> TernaryEntry:
    what = f"ternary weight {short(name)}"
    members = expect_object(value, what, _TERNARY_MEMBERS)
    codec = expect_integer(members["codec"], f"{what}: codec", least=0, most=2**31)
    if codec == 0:
        raise ArtifactCorrupt(f"{what}: codec 0 is not a codec")
    if codec not in CODECS:
        known = ", ".join(map(str, CODECS))
        raise ArtifactVersionUnsupported(f"{what}: codec {codec}, this reader knows {known}", hint=_NEWER)
    sizes = expect_list(members["shape"], f"{what}: shape", most=MAX_DIMENSIONS)
    shape = tuple(expect_integer(size, f"{what}: a size", least=1, most=MAX_TERNARY_WEIGHTS) for size in sizes)
    entry = TernaryEntry(
        shape=shape,
        codec=codec,
        chunks=_chunks_from_json(members["chunks"], what, math.prod(shape), chunk_weights),
        codes_crc32=_crc32(members["codes_crc32"], f"{what}: codes_crc32"),
        scale_crc32=_crc32(members["scale_crc32"], f"{what}: scale_crc32"),
    )
    if entry.payload_bytes * MAX_WEIGHTS_PER_BYTE < entry.weights:
        raise ArtifactCorrupt(
            f"{what}: {entry.payload_bytes} bytes for {entry.weights} weights, "
            f"at most {MAX_WEIGHTS_PER_BYTE} weights a byte are allowed"
        )
    return entry


def _check_codec(what: str, entry: TernaryEntry, version: int) -> None:
    codec = CODECS[entry.codec]
    if codec.version > version:
        raise ArtifactCorrupt(
            f"{what}: codec {entry.codec} in a file of version {version}, it is allowed from version {codec.version} on"
        )
    if entry.weights > codec.most_weights:
        raise ArtifactCorrupt(
            f"{what}: codec {entry.codec} for {entry.weights} weights, at most {codec.most_weights} are allowed"
        )


def _chunks_from_json(value: object, what: str, weights: int, chunk_weights: int) -> tuple[Chunk, ...]:
    if weights > MAX_TERNARY_WEIGHTS:
        raise ArtifactCorrupt(f"{what} has {weights} weights, at most {MAX_TERNARY_WEIGHTS} are allowed")
    needed = -(-weights // chunk_weights)
    pairs = expect_list(value, f"{what}: chunks", most=needed)
    if len(pairs) != needed:
        raise ArtifactCorrupt(f"{what}: {len(pairs)} chunks for {weights} weights, {needed} are needed")
    chunks = []
    for index, pair in enumerate(pairs):
        place = f"{what}: chunk {index}"
        figures = expect_list(pair, place, most=2)
        if len(figures) != 2:
            raise ArtifactCorrupt(f"{place} has {len(figures)} elements, 2 are allowed")
        of_chunk = min(chunk_weights, weights - index * chunk_weights)
        chunks.append(
            Chunk(
                expect_integer(figures[0], f"{place}: bytes", least=1, most=MAX_SIZE),
                expect_integer(figures[1], f"{place}: zeros", least=0, most=of_chunk),
            )
        )
    return tuple(chunks)


def _graph_from_json(value: object) -> GraphEntry:
    members = expect_object(value, "graph", ("bytes", "crc32"))
    text_bytes = expect_integer(members["bytes"], "graph: bytes", least=2, most=MAX_GRAPH_JSON_BYTES)
    return GraphEntry(text_bytes, _crc32(members["crc32"], "graph: crc32"))


def _crc32(value: object, what: str) -> int:
    return expect_integer(value, what, least=0, most=2**32 - 1)


def _sha256(value: object) -> str:
    text = expect_string(value, "data_sha256")
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise ArtifactCorrupt("data_sha256 is not 64 lower-case hexadecimal digits")
    return text
