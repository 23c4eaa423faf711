"""Arguments and flags that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

ModelFile: TypeAlias = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        exists=True,
        dir_okay=False,
        help="A .pt2 from stock torch.export.save, or an .onnx.",
        show_default=False,
    ),
]
AnyFile: TypeAlias = Annotated[
    Path,
    typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A model or an artifact.", show_default=False),
]
ArtifactFile: TypeAlias = Annotated[
    Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A .sterna artifact.", show_default=False)
]
DataFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--data",
        exists=True,
        dir_okay=False,
        help="An .npz or .safetensors: an array per input, optionally `target`. Without it inputs are synthesised.",
    ),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
JobId: TypeAlias = Annotated[str, typer.Argument(metavar="JOB", help="Such as job_1f0c….", show_default=False)]
TimeoutS: TypeAlias = Annotated[
    float | None, typer.Option("--timeout", metavar="SECONDS", help="Give up after so long (exit 5).", min=0)
]
Labels: TypeAlias = Annotated[
    list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="To find jobs by. Repeatable.")
]
