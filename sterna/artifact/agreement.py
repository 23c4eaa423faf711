"""Header, manifest and graph say the same of every tensor, or the file is refused (docs/format.md, 3 and 4)."""

from __future__ import annotations

from collections.abc import Collection

from sterna.artifact.container import Header, StoredTensor
from sterna.artifact.element_types import BY_TORCH_NAME
from sterna.artifact.json_text import short
from sterna.artifact.manifest import Manifest, TernaryEntry
from sterna.artifact.names import GRAPH, codes_name, scale_name
from sterna.artifact.ternary import scale_fits
from sterna.errors import ArtifactCorrupt
from sterna.graph import Graph, TensorInfo


def check_stored(header: Header, manifest: Manifest) -> None:
    """Check that exactly the tensors of the manifest are stored, and the ternary ones as it says.

    Raises:
        ArtifactCorrupt: they differ.
    """
    for name in (*manifest.ternary, *manifest.dense):
        if "/" in name:
            raise ArtifactCorrupt(f"tensor {short(name)}: a name of the network has no '/'")
    expected = {GRAPH, *manifest.dense}
    expected.update(codes_name(name) for name in manifest.ternary)
    expected.update(scale_name(name) for name in manifest.ternary)
    _check_same(header.tensors.keys(), expected, "the header and the manifest")
    _check_packed(GRAPH, header.tensors[GRAPH])
    for name, entry in manifest.ternary.items():
        codes = header.tensors[codes_name(name)]
        _check_packed(codes_name(name), codes)
        if codes.size_bytes != entry.payload_bytes:
            raise ArtifactCorrupt(
                f"the codes of {short(name)} take {codes.size_bytes} bytes, its chunks {entry.payload_bytes}"
            )
        _check_scale(name, header.tensors[scale_name(name)], entry)


def check_graph_tensors(header: Header, manifest: Manifest, graph: Graph) -> None:
    """Check that the graph's tensors are those of the manifest, with the same types and shapes.

    Raises:
        ArtifactCorrupt: they differ.
    """
    twice = manifest.ternary.keys() & manifest.dense.keys()
    if twice:
        raise ArtifactCorrupt(f"tensor {short(min(twice))} is both ternary and dense")
    _check_same(manifest.ternary.keys() | manifest.dense.keys(), graph.tensors.keys(), "the manifest and the graph")
    for name, info in graph.tensors.items():
        if name in manifest.ternary:
            if manifest.ternary[name].shape != info.shape:
                raise ArtifactCorrupt(
                    f"{short(name)} has the shape {manifest.ternary[name].shape} in the manifest, "
                    f"{info.shape} in the graph"
                )
        else:
            _check_dense(name, header.tensors[name], info)


def _check_same(found: Collection[str], expected: Collection[str], between: str) -> None:
    odd = set(found) ^ set(expected)
    if odd:
        raise ArtifactCorrupt(f"{between} do not list the same tensors: {', '.join(map(short, sorted(odd)[:5]))}")


def _check_packed(name: str, tensor: StoredTensor) -> None:
    if tensor.element_type.name != "U8" or len(tensor.shape) != 1:
        raise ArtifactCorrupt(
            f"{short(name)} is {tensor.element_type.name} of shape {tensor.shape}, U8 of one dimension is allowed"
        )


def _check_scale(name: str, scale: StoredTensor, entry: TernaryEntry) -> None:
    if scale.element_type.name != "F32" or not scale_fits(scale.shape, entry.shape):
        raise ArtifactCorrupt(
            f"the scale of {short(name)} is {scale.element_type.name} of shape {scale.shape}, "
            f"F32 that broadcasts against {entry.shape} is allowed"
        )


def _check_dense(name: str, tensor: StoredTensor, info: TensorInfo) -> None:
    if tensor.element_type is not BY_TORCH_NAME[info.dtype] or tensor.shape != info.shape:
        raise ArtifactCorrupt(
            f"{short(name)} is stored as {tensor.element_type.torch_name} {tensor.shape}, "
            f"the graph says {short(info.dtype)} {info.shape}"
        )
