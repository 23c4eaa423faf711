"""`sterna export`: an artifact in the formats of other runtimes. Only `--to pt2` needs torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from sterna.cli.arguments import ArtifactFile, AsJson
from sterna.cli.output import print_json
from sterna.errors import InvalidSpec

Format = Literal["onnx", "gguf", "safetensors", "pt2"]


def export_command(
    file: ArtifactFile,
    to: Annotated[Format, typer.Option("--to", help="The format.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="OUT", dir_okay=False, help="The file; without it FILE with the format's suffix."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write an artifact in the format of another runtime."""
    from sterna.export import EXPORTS  # noqa: PLC0415  loads nothing of the formats until one is written

    target = output or file.with_suffix(Path(EXPORTS[to].file_name).suffix)
    if target.exists() and target.samefile(file):
        raise InvalidSpec(f"{target} is the artifact itself", hint="Choose another place with -o.")
    EXPORTS[to].write(file, target)
    size_bytes = target.stat().st_size
    if as_json:
        print_json({"path": str(target), "format": to, "bytes": size_bytes})
    else:
        typer.echo(f"wrote {target} ({size_bytes:,} bytes)")
