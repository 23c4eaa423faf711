"""Ternary weights, dense tensors and a graph → one file. The same contents give the same bytes (docs/format.md).

Codes are encoded first, because their length decides where everything lies; the dense tensors are read twice, once for
the digests, which the header holds, and once to be written.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sterna.artifact.codec import CHUNK_WEIGHTS, CODECS, EncodedCodes, encode_smallest, worthwhile_codecs
from sterna.artifact.container import OutgoingTensor, arrange, write_container
from sterna.artifact.contents import ArtifactContents, check_contents
from sterna.artifact.deflate import deflate_text
from sterna.artifact.element_types import BY_TORCH_NAME, ELEMENT_TYPES, ElementType
from sterna.artifact.json_text import to_text
from sterna.artifact.limits import MAX_CHUNK_WEIGHTS, MAX_GRAPH_JSON_BYTES, MAX_TERNARY_WEIGHTS
from sterna.artifact.listing import Listing, layer_entry
from sterna.artifact.manifest import GraphEntry, Manifest, TernaryEntry, manifest_to_text
from sterna.artifact.names import GRAPH, MANIFEST, MANIFEST_SHA256, codes_name, scale_name
from sterna.errors import InvalidSpec, ModelTooLarge
from sterna.graph import graph_to_json


@dataclass(frozen=True, slots=True)
class ArtifactSummary(Listing):
    """What was written.

    Attributes:
        sha256: of the whole file, lower-case hexadecimal.
    """

    sha256: str


def write_artifact(
    path: str | PathLike[str], contents: ArtifactContents, *, chunk_weights: int = CHUNK_WEIGHTS
) -> ArtifactSummary:
    """Write an artifact to `path`, which appears whole or not at all.

    Args:
        path: an existing file is replaced.
        contents: what to write.
        chunk_weights: codes per chunk; smaller chunks serve those who decode parts, and cost some bytes.

    Raises:
        InvalidSpec: the contents do not make a network, or the report is not JSON.
        ModelCorrupt, ModelUnsafe, OperatorUnsupported: as `sterna.graph.check_graph`.
        ModelTooLarge: above a limit of the format.
    """
    check_contents(contents)
    if not 0 < chunk_weights <= MAX_CHUNK_WEIGHTS:
        raise InvalidSpec(f"chunk_weights is {chunk_weights}, 1 … {MAX_CHUNK_WEIGHTS} are allowed")
    graph_text = to_text(graph_to_json(contents.graph)).encode("ascii")
    if len(graph_text) > MAX_GRAPH_JSON_BYTES:
        raise ModelTooLarge(f"the graph's JSON has {len(graph_text)} bytes, at most {MAX_GRAPH_JSON_BYTES} are allowed")
    encoded = _encode_all(contents, chunk_weights)
    tensors = arrange(_outgoing(contents, encoded, graph_text))
    crc32, data_sha256 = _digest(tensors)
    manifest = Manifest(
        version=max(CODECS[made.codec].version for made in encoded.values()),
        chunk_weights=chunk_weights,
        ternary={name: _ternary_entry(name, contents, made, crc32) for name, made in encoded.items()},
        dense={name: crc32[name] for name in contents.dense},
        graph=GraphEntry(len(graph_text), crc32[GRAPH]),
        data_sha256=data_sha256,
        report=contents.report,
    )
    file_bytes, sha256 = write_container(Path(path), tensors, _metadata(manifest))
    return ArtifactSummary(
        layers=tuple(
            layer_entry(name, manifest.ternary[name], contents.ternary[name].scale.shape)
            for name in _in_graph_order(contents)
        ),
        file_bytes=file_bytes,
        scale_bytes=sum(ternary.scale.nbytes for ternary in contents.ternary.values()),
        dense_bytes=sum(array.nbytes for array in contents.dense.values()),
        sha256=sha256,
    )


def _in_graph_order(contents: ArtifactContents) -> list[str]:
    return [name for name in contents.graph.tensors if name in contents.ternary]


def _encode_all(contents: ArtifactContents, chunk_weights: int) -> dict[str, EncodedCodes]:
    codecs = worthwhile_codecs([ternary.codes.size for ternary in contents.ternary.values()])
    encoded = {}
    for name in _in_graph_order(contents):
        codes = contents.ternary[name].codes
        if codes.size > MAX_TERNARY_WEIGHTS:
            raise ModelTooLarge(f"{name} has {codes.size} weights, at most {MAX_TERNARY_WEIGHTS} are allowed")
        encoded[name] = encode_smallest(np.ascontiguousarray(codes).reshape(-1), chunk_weights, codecs)
    return encoded


def _outgoing(
    contents: ArtifactContents, encoded: Mapping[str, EncodedCodes], graph_text: bytes
) -> list[OutgoingTensor]:
    tensors = [_bytes_tensor(GRAPH, deflate_text(graph_text))]
    for name, made in encoded.items():
        tensors.append(_bytes_tensor(codes_name(name), made.payload))
        tensors.append(_array_tensor(scale_name(name), ELEMENT_TYPES["F32"], contents.ternary[name].scale))
    for name, array in contents.dense.items():
        tensors.append(_array_tensor(name, BY_TORCH_NAME[contents.graph.tensors[name].dtype], array))
    return tensors


def _bytes_tensor(name: str, data: bytes | memoryview) -> OutgoingTensor:
    return _array_tensor(name, ELEMENT_TYPES["U8"], np.frombuffer(data, np.uint8))


def _array_tensor(name: str, element_type: ElementType, array: NDArray[Any]) -> OutgoingTensor:
    return OutgoingTensor(name, element_type, array.shape, lambda: array)


def _digest(tensors: Sequence[OutgoingTensor]) -> tuple[dict[str, int], str]:
    """CRC-32 of each tensor by stored name, SHA-256 of all in the order of the file."""
    whole = hashlib.sha256()
    crc32 = {}
    for tensor in tensors:
        data = tensor.contents()
        whole.update(data)
        crc32[tensor.name] = zlib.crc32(data)
    return crc32, whole.hexdigest()


def _ternary_entry(name: str, contents: ArtifactContents, made: EncodedCodes, crc32: Mapping[str, int]) -> TernaryEntry:
    return TernaryEntry(
        shape=contents.ternary[name].codes.shape,
        codec=made.codec,
        chunks=made.chunks,
        codes_crc32=crc32[codes_name(name)],
        scale_crc32=crc32[scale_name(name)],
    )


def _metadata(manifest: Manifest) -> dict[str, str]:
    try:
        text = manifest_to_text(manifest)
    except (TypeError, ValueError) as error:
        raise InvalidSpec(
            f"the report is not JSON: {error}", hint="Give finite numbers, strings, lists and objects."
        ) from None
    return {MANIFEST: text, MANIFEST_SHA256: hashlib.sha256(text.encode("ascii")).hexdigest()}
