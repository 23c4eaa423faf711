"""`sterna inspect`, `verify` and `unpack`: look into files on this machine. None of them needs torch."""

from __future__ import annotations

from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from api_schemas import Inspection
from sterna.artifact import Artifact, is_artifact, unpack_artifact
from sterna.artifact.codec import CODECS
from sterna.cli.arguments import AnyFile, ArtifactFile, AsJson
from sterna.cli.output import new_table, print_json, shape_text, stdout_console
from sterna.graph import DTYPES
from sterna.intake import inspect_model


def inspect_command(
    file: AnyFile,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", metavar="GLOB", help="Show what a job with this exclusion could take. Repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the layers of a model or of an artifact, from its headers alone."""
    if is_artifact(file):
        with Artifact.open(file) as artifact:
            described = describe_artifact(artifact)
        print_json(described) if as_json else _print_artifact(described)
        return
    inspection = Inspection.model_validate(inspect_model(file, tuple(exclude or ())))
    print_json(inspection) if as_json else _print_model(inspection)


def verify_command(file: ArtifactFile, as_json: AsJson = False) -> None:
    """Decode every tensor of an artifact and check digests and counts; ends with 7 when one is wrong."""
    with Artifact.open(file) as artifact:
        artifact.verify()
        described = describe_artifact(artifact)
    if as_json:
        print_json({"verified": True} | {name: described[name] for name in ("sparsity", "weights", "zeros")})
    else:
        typer.echo(f"{file}: verified, {described['zeros']:,} of {described['weights']:,} weights are zero")


def unpack_command(
    file: ArtifactFile,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="OUT", dir_okay=False, help="A .safetensors file.", show_default=False),
    ],
    as_json: AsJson = False,
) -> None:
    """Write the dense tensors of an artifact under their original names."""
    unpack_artifact(file, output)
    size_bytes = output.stat().st_size
    if as_json:
        print_json({"path": str(output), "bytes": size_bytes})
    else:
        typer.echo(f"wrote {output} ({size_bytes:,} bytes)")


def describe_artifact(artifact: Artifact) -> dict[str, Any]:
    """What an artifact says of itself, as one JSON object; `report` is its maker's and not checked.

    `dense_bytes` is what its tensors take in the network's own types, `ratio` how many times smaller the file is.
    """
    dense_bytes = sum(prod(info.shape) * DTYPES[info.dtype].itemsize for info in artifact.graph.tensors.values())
    return {
        "format": "sterna",
        "bytes": artifact.listing.file_bytes,
        "weights": artifact.listing.weights,
        "zeros": artifact.listing.zeros,
        "sparsity": artifact.sparsity,
        "bits_per_weight": artifact.bits_per_weight,
        "entropy_bits_per_weight": artifact.entropy_bits_per_weight,
        "dense_bytes": dense_bytes,
        "ratio": dense_bytes / artifact.listing.file_bytes,
        "bytes_of": {
            "codes": artifact.listing.payload_bytes,
            "scales": artifact.listing.scale_bytes,
            "other_tensors": artifact.listing.dense_bytes,
            "header_manifest_graph": artifact.listing.overhead_bytes,
        },
        "inputs": [asdict(one) for one in artifact.graph.inputs],
        "layers": [
            asdict(layer)
            | {
                "codec_name": CODECS[layer.codec].name,
                "sparsity": layer.sparsity,
                "bits_per_weight": layer.bits_per_weight,
            }
            for layer in artifact.layers
        ],
        "report": dict(artifact.report),
    }


def _print_model(inspection: Inspection) -> None:
    console = stdout_console()
    inputs = ", ".join(f"{one.name} {one.dtype} {shape_text(one.shape)}" for one in inspection.inputs)
    console.print(Text(f"{inspection.format} model, {inspection.parameters:,} parameters; inputs: {inputs}"))
    table = new_table(
        ("layer", "kind", "shape", "weights", "ternarisable"), left=("layer", "kind", "shape", "ternarisable")
    )
    for layer in inspection.layers:
        can = "yes" if layer.ternarisable else f"no: {layer.why_not}"
        table.add_row(Text(layer.name), layer.kind, shape_text(layer.shape), f"{layer.weights:,}", Text(can))
    console.print(table)
    console.print(f"{inspection.ternarisable_weights:,} weights can be made ternary")


def _print_artifact(described: dict[str, Any]) -> None:
    console = stdout_console()
    columns = ("layer", "shape", "weights", "zeros", "codec", "bits/weight")
    table = new_table(columns, left=("layer", "shape", "codec"))
    for layer in described["layers"]:
        shape, weights = shape_text(layer["shape"]), f"{layer['weights']:,}"
        zeros, bits = f"{layer['sparsity']:.4%}", f"{layer['bits_per_weight']:.3f}"
        table.add_row(Text(layer["name"]), shape, weights, zeros, layer["codec_name"], bits)
    console.print(table)
    console.print(
        f"{described['zeros']:,} of {described['weights']:,} weights are zero ({described['sparsity']:.4%}); "
        f"{described['bits_per_weight']:.3f} bits a weight (entropy {described['entropy_bits_per_weight']:.3f}); "
        f"{described['bytes']:,} bytes in all, {described['ratio']:.1f}× smaller than the {described['dense_bytes']:,}"
        " of the dense tensors"
    )
    metric = described["report"].get("metric")
    if isinstance(metric, dict) and metric.keys() >= {"name", "baseline", "ternary"}:
        console.print(
            Text(f"{metric['name']} {metric['baseline']} before, {metric['ternary']} after, as its maker says")
        )
