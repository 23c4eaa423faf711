"""What is said about a compression: in the artifact's manifest, and in the result, read off the packed file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from api_schemas import ArtifactRef, CompressSpec, LayerReport, Measured, Result
from sterna.artifact import Artifact, LayerEntry
from sterna.compress.histograms import weight_histogram
from sterna.digest import file_digest

MOST_HISTOGRAMS: Final = 128
"""Of the largest layers: a result is read often, and hundreds of kilobytes would make it slow."""


def manifest_report(model_path: Path, spec: CompressSpec, alpha: float, steps: int) -> dict[str, Any]:
    """The part of the manifest that says how the artifact was made. Nothing in it depends on when or where."""
    return {
        "source_sha256": file_digest(model_path),
        "target_sparsity": spec.target_sparsity,
        "granularity": spec.granularity,
        "method": spec.method,
        "strategy": spec.search.strategy,
        "alpha": alpha,
        "seed": spec.seed,
        "steps": steps,
    }


def describe(
    artifact_path: Path, spec: CompressSpec, model_bytes: int, alpha: float, original: Mapping[str, NDArray[Any]]
) -> Result:
    """The result without metric, time and files: everything that the packed file itself tells.

    Args:
        artifact_path: the packed file.
        spec: what was asked for.
        model_bytes: of the file that was sent, without examples of inputs.
        alpha: that was found.
        original: the weights before, by name, for the histograms.
    """
    artifact_bytes = artifact_path.stat().st_size
    with Artifact.open(artifact_path) as artifact:
        largest = sorted(artifact.layers, key=lambda entry: -entry.weights)[:MOST_HISTOGRAMS]
        told = {entry.name for entry in largest}
        layers = tuple(
            _layer_report(artifact, entry, original[entry.name] if entry.name in told else None)
            for entry in artifact.layers
        )
        return Result(
            target_sparsity=spec.target_sparsity,
            sparsity=artifact.sparsity,
            alpha=alpha,
            target_met=abs(artifact.sparsity - spec.target_sparsity) <= spec.tolerance,
            metric=None,
            bits_per_weight=artifact.bits_per_weight,
            entropy_bits_per_weight=artifact.entropy_bits_per_weight,
            model_bytes=model_bytes,
            artifact_bytes=artifact_bytes,
            ratio=model_bytes / artifact_bytes,
            steps=0,
            seconds=0.0,
            layers=layers,
        )


def _layer_report(artifact: Artifact, entry: LayerEntry, before: NDArray[Any] | None) -> LayerReport:
    return LayerReport(
        name=entry.name,
        shape=entry.shape,
        weights=entry.weights,
        sparsity=entry.sparsity,
        scale_shape=entry.scale_shape,
        packed_bytes=entry.payload_bytes,
        histogram=None if before is None else weight_histogram(before, artifact.ternary(entry.name)),
    )


def file_reference(path: Path, media_type: str, measured: Measured) -> ArtifactRef:
    """Name, digest and size of a file that was made, and how good it is."""
    return ArtifactRef(
        name=path.name,
        sha256=file_digest(path),
        bytes=path.stat().st_size,
        media_type=media_type,
        measured=measured,
    )
