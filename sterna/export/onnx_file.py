"""An artifact → an ONNX file that ONNX Runtime computes with two bits a weight where the layer is linear.

docs/decisions/0010 says why the graph is written by rules of our own, and what was measured.
"""

from __future__ import annotations

from pathlib import Path

from sterna.artifact import Artifact
from sterna.export.outgoing import written_whole
from sterna.export.packages import require
from sterna.graph import Graph


def export_onnx(path: Path, out_path: Path) -> None:
    """Write the network of the artifact at `path` as ONNX (opset 25) to `out_path`.

    Weights of linear layers are INT2 with a scale for each output; all others are dense. The bytes are the same for the
    same artifact and the same version of onnx.

    Raises:
        ExtraMissing: onnx is not installed.
        ExportUnsupported, ModelTooLarge: ONNX cannot hold this network.
        ArtifactCorrupt, ArtifactDigestMismatch, ArtifactVersionUnsupported, UnsupportedFormat: as `Artifact.open`.
    """
    require("onnx")
    from sterna.export.onnx_graph import build_onnx  # noqa: PLC0415  imports onnx: only for those who write it

    with Artifact.open(path) as artifact:
        model = build_onnx(artifact)
    with written_whole(out_path) as partial:
        partial.write_bytes(model.SerializeToString(deterministic=True))


def check_onnx(graph: Graph) -> None:
    """Refuse a graph with operators that have no rule.

    Raises:
        ExtraMissing: onnx is not installed.
        ExportUnsupported: operators without a rule, by name.
    """
    require("onnx")
    from sterna.export.onnx_graph import refuse_without_rule  # noqa: PLC0415

    refuse_without_rule(graph)
