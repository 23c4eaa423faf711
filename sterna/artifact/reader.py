"""An artifact opened for reading: mapped into memory, listed without decoding, decoded one tensor at a time.

Opening checks everything that can be checked without touching a tensor (docs/format.md, section 8); decoding checks the
tensor that it decodes; `verify` does it for all. Nothing in the file is executed, and no name in it is looked up.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sterna.artifact.agreement import check_graph_tensors, check_stored
from sterna.artifact.chunk_error import ChunkError
from sterna.artifact.codec import EncodedCodes, decode, decode_chunk
from sterna.artifact.container import Header, read_header
from sterna.artifact.deflate import inflate
from sterna.artifact.json_text import from_text, short
from sterna.artifact.listing import LayerEntry, Listing, layer_entry
from sterna.artifact.manifest import Manifest, TernaryEntry, manifest_from_text
from sterna.artifact.names import GRAPH, MANIFEST, MANIFEST_SHA256, codes_name, scale_name
from sterna.artifact.ternary import TernaryTensor
from sterna.errors import (
    ArtifactCorrupt,
    ArtifactDigestMismatch,
    ArtifactVersionUnsupported,
    ModelCorrupt,
    ModelTooLarge,
    ModelUnsafe,
    NotFound,
    OperatorUnsupported,
    UnsupportedFormat,
)
from sterna.graph import Graph, graph_from_json

_FETCH_AGAIN = "The file is damaged: fetch it again, or ask its maker."
_ARCHIVE = b"PK\x03\x04"
_MAGIC = b'{"__metadata__":{"' + MANIFEST.encode("ascii")


class Artifact:
    """One open artifact. Use it as a context manager; arrays taken from it stay valid after it is closed.

    Attributes:
        manifest: what the file says of itself, checked.
        graph: the network.
        listing: layers and sums.
    """

    manifest: Manifest
    graph: Graph
    listing: Listing

    def __init__(self, data: mmap.mmap | bytes) -> None:
        """Read and check what comes before the tensors. `data` is a whole file; `open` is the usual way."""
        self._file = data
        self._view = memoryview(data)
        try:
            _refuse_foreign(bytes(self._view[:9]))
            self._header = read_header(self._view)
            self.manifest = _read_manifest(self._header)
            check_stored(self._header, self.manifest)
            self.graph = self._read_graph()
            check_graph_tensors(self._header, self.manifest, self.graph)
            self.listing = _list(self._header, self.manifest, self.graph, len(self._view))
        except BaseException:
            self.close()
            raise

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Map a file into memory and check everything but its tensors.

        Raises:
            ArtifactCorrupt: truncated, or it contradicts itself.
            ArtifactDigestMismatch: the manifest or the graph are not as they were written.
            ArtifactVersionUnsupported: of a newer version, with a newer codec or a newer operator.
            UnsupportedFormat: a file of another format, or a safetensors file that is no artifact.
            OSError: no such file, or it cannot be read.
        """
        with Path(path).open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise ArtifactCorrupt("the file is empty", hint=_FETCH_AGAIN)
            return cls(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def close(self) -> None:
        """Let go of the file. Its mapping ends with the last array that looks into it."""
        self._view.release()
        if isinstance(self._file, mmap.mmap):
            try:
                self._file.close()
            except BufferError:  # an array of `dense` is in use
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def layers(self) -> tuple[LayerEntry, ...]:
        """The ternary weights in the order of the graph; nothing is decoded."""
        return self.listing.layers

    @property
    def sparsity(self) -> float:
        """Share of zeros among all ternary weights, 0 to 1."""
        return self.listing.sparsity

    @property
    def bits_per_weight(self) -> float:
        """Bits of stored codes per ternary weight; scales and all else not counted."""
        return self.listing.bits_per_weight

    @property
    def entropy_bits_per_weight(self) -> float:
        """H at the overall sparsity: what to compare with, no bound (`sterna.artifact.entropy`)."""
        return self.listing.entropy_bits_per_weight

    @property
    def metadata_bytes(self) -> int:
        """Length of the manifest and of the stored graph; what else is overhead is the header of safetensors."""
        return len(self._header.metadata[MANIFEST]) + self._header.tensors[GRAPH].size_bytes

    @property
    def report(self) -> Mapping[str, Any]:
        """What the maker tells: target sparsity, alpha, metrics, … Not checked."""
        return self.manifest.report

    def codes(self, name: str, *, threads: int = 1) -> NDArray[np.int8]:
        """Decode the codes of a ternary weight: int8 of {−1, 0, 1} in the shape of the weight.

        Args:
            name: original name.
            threads: how many chunks are decoded side by side; the result is the same.

        Raises:
            ArtifactCorrupt, ArtifactDigestMismatch: the stored codes are not what the manifest says.
            NotFound: no ternary weight of that name.
        """
        entry, payload = self._packed(name)
        stored = EncodedCodes(entry.codec, entry.chunks, payload)
        try:
            codes = decode(stored, entry.weights, self.manifest.chunk_weights, threads=threads)
        except ChunkError as error:
            raise ArtifactCorrupt(f"the codes of {short(name)}: {error}", hint=_FETCH_AGAIN) from None
        return codes.reshape(entry.shape)

    def chunks(self, name: str) -> Iterator[NDArray[np.int8]]:
        """Decode the codes of a ternary weight lazily, a chunk at a time, in row-major order.

        Each chunk is an int8 array of at most `manifest.chunk_weights` codes; nothing else of the weight is in memory.
        Raises as `codes`, where the fault is met.
        """
        entry, payload = self._packed(name)
        begin = 0
        for index, chunk in enumerate(entry.chunks):
            weights = min(self.manifest.chunk_weights, entry.weights - index * self.manifest.chunk_weights)
            piece = payload[begin : begin + chunk.size_bytes]
            begin += chunk.size_bytes
            try:
                codes = decode_chunk(entry.codec, index, chunk, piece, weights)
            except ChunkError as error:
                raise ArtifactCorrupt(f"the codes of {short(name)}: {error}", hint=_FETCH_AGAIN) from None
            yield codes

    def scale(self, name: str) -> NDArray[np.float32]:
        """Give the scale of a ternary weight: float32 that broadcasts against it, a copy.

        Raises:
            ArtifactCorrupt: a scale is NaN or infinite.
            ArtifactDigestMismatch: the bytes are not those that were written.
            NotFound: no ternary weight of that name.
        """
        self._check_ternary(name)
        scale: NDArray[np.float32] = self._array(scale_name(name), self.manifest.ternary[name].scale_crc32).copy()
        if not np.isfinite(scale).all():
            raise ArtifactCorrupt(f"a scale of {short(name)} is NaN or infinite", hint=_FETCH_AGAIN)
        return scale

    def ternary(self, name: str) -> TernaryTensor:
        """Give the codes and the scale of a ternary weight; raises as both do."""
        return TernaryTensor(self.codes(name), self.scale(name))

    def dense(self, name: str) -> NDArray[Any]:
        """Give any tensor of the network as an array: scale · codes as float32, others read-only as they are stored.

        bfloat16 is the uint16 array of its bit patterns.

        Raises:
            ArtifactCorrupt, ArtifactDigestMismatch: the stored bytes are not what the manifest says.
            NotFound: no tensor of that name.
        """
        if name in self.manifest.ternary:
            return self.ternary(name).dense()
        if name not in self.manifest.dense:
            raise NotFound(f"no tensor {short(name)} in this artifact")
        array = self._array(name, self.manifest.dense[name])
        if array.dtype == np.bool_ and array.size and array.view(np.uint8).max() > 1:
            raise ArtifactCorrupt(f"{short(name)} is BOOL and holds bytes above 1", hint=_FETCH_AGAIN)
        return array

    def verify(self) -> None:
        """Decode and check everything; returns if the file is as it was written and its counts are true.

        Raises:
            ArtifactCorrupt, ArtifactDigestMismatch: it is not; the first fault that is found.
        """
        for name in self.manifest.ternary:
            self.ternary(name)
        for name in self.manifest.dense:
            self.dense(name)
        if hashlib.sha256(self._view[self._header.data_start :]).hexdigest() != self.manifest.data_sha256:
            raise ArtifactDigestMismatch("SHA-256 of the data differs from the manifest's", hint=_FETCH_AGAIN)

    def _read_graph(self) -> Graph:
        entry = self.manifest.graph
        try:
            text = inflate(self._checked(GRAPH, entry.crc32), entry.text_bytes)
            return graph_from_json(from_text(text, "the graph"))
        except (ChunkError, ModelCorrupt, ModelTooLarge, ModelUnsafe) as error:
            raise ArtifactCorrupt(f"the graph: {error}", hint=_FETCH_AGAIN) from None
        except OperatorUnsupported as error:
            raise ArtifactVersionUnsupported(f"the graph: {error}", hint="Install a newer version of Sterna.") from None

    def _packed(self, name: str) -> tuple[TernaryEntry, memoryview]:
        """What the manifest says of a ternary weight, and its stored codes, of which the CRC-32 is checked."""
        self._check_ternary(name)
        entry = self.manifest.ternary[name]
        return entry, self._checked(codes_name(name), entry.codes_crc32)

    def _check_ternary(self, name: str) -> None:
        if name not in self.manifest.ternary:
            raise NotFound(f"no ternary weight {short(name)} in this artifact", hint="`layers` lists them.")

    def _array(self, stored_name: str, crc32: int) -> NDArray[Any]:
        stored = self._header.tensors[stored_name]
        data = self._checked(stored_name, crc32)
        return np.frombuffer(data, stored.element_type.numpy).reshape(stored.shape)

    def _checked(self, stored_name: str, crc32: int) -> memoryview:
        stored = self._header.tensors[stored_name]
        start = self._header.data_start
        data = self._view[start + stored.begin : start + stored.end]
        if zlib.crc32(data) != crc32:
            raise ArtifactDigestMismatch(
                f"CRC-32 of {short(stored_name)} differs from the manifest's", hint=_FETCH_AGAIN
            )
        return data


def is_artifact(path: str | os.PathLike[str]) -> bool:
    """Tell from its first bytes whether a file was written as an artifact; says nothing of its soundness."""
    with Path(path).open("rb") as file:
        return file.read(8 + len(_MAGIC))[8:] == _MAGIC


def _refuse_foreign(head: bytes) -> None:
    """Tell those who give a model in place of an artifact so: its first bytes would be read as an absurd length."""
    if head[:4] != _ARCHIVE and head[8:] in {b"", b"{"}:
        return  # a safetensors file, or too little of one
    raise UnsupportedFormat(
        f"{_name_of(head)}; this reads artifacts (.sterna)",
        hint="`sterna compress` makes an artifact of a model, `sterna inspect` shows either.",
    )


def _name_of(head: bytes) -> str:
    if head[:4] == _ARCHIVE:
        return "a zip archive, as a model (.pt2) or its data (.npz) is"
    # ONNX has no mark of its own: it begins with its IR version, a small number, as the first field of a message.
    if head[0] == 0x08 and head[1] < 0x40:
        return "an ONNX model"
    if head[0] == 0x80:
        return "a pickle"
    return "no safetensors file, which an artifact is"


def _read_manifest(header: Header) -> Manifest:
    text = header.metadata.get(MANIFEST)
    if text is None:
        raise UnsupportedFormat(
            f"a safetensors file without {MANIFEST} in its metadata", hint="Give an artifact that Sterna has written."
        )
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    if digest != header.metadata.get(MANIFEST_SHA256):
        raise ArtifactDigestMismatch("SHA-256 of the manifest differs from that beside it", hint=_FETCH_AGAIN)
    return manifest_from_text(text)


def _list(header: Header, manifest: Manifest, graph: Graph, file_bytes: int) -> Listing:
    names = [name for name in graph.tensors if name in manifest.ternary]
    scales = {name: header.tensors[scale_name(name)] for name in names}
    return Listing(
        layers=tuple(layer_entry(name, manifest.ternary[name], scales[name].shape) for name in names),
        file_bytes=file_bytes,
        scale_bytes=sum(scale.size_bytes for scale in scales.values()),
        dense_bytes=sum(header.tensors[name].size_bytes for name in manifest.dense),
    )
