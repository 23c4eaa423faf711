"""The artifact: ternary weights near their entropy, dense tensors, the graph and a manifest in one safetensors file.

docs/format.md is the normative page. Needs numpy alone, never torch.

    with Artifact.open("model.sterna") as artifact:
        for layer in artifact.layers:              # nothing is decoded yet
            print(layer.name, layer.shape, layer.sparsity, layer.bits_per_weight)
        weight = artifact.dense("features.0.weight")
"""

from sterna.artifact.contents import ArtifactContents
from sterna.artifact.entropy import entropy_bits_per_weight
from sterna.artifact.listing import LayerEntry, Listing
from sterna.artifact.manifest import Manifest
from sterna.artifact.reader import Artifact, is_artifact
from sterna.artifact.report import replace_report
from sterna.artifact.ternary import TernaryTensor
from sterna.artifact.unpack import read_unpacked, unpack_artifact
from sterna.artifact.writer import ArtifactSummary, write_artifact

__all__ = [
    "Artifact",
    "ArtifactContents",
    "ArtifactSummary",
    "LayerEntry",
    "Listing",
    "Manifest",
    "TernaryTensor",
    "entropy_bits_per_weight",
    "is_artifact",
    "read_unpacked",
    "replace_report",
    "unpack_artifact",
    "write_artifact",
]
