"""`sterna compress`: a model in, an artifact out, in this process and without a service."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from api_schemas import ArtifactRef, CompressSpec, Result
from sterna.cli.arguments import AsJson, DataFile, ModelFile
from sterna.cli.output import print_json, print_result, stderr_console
from sterna.cli.progress import JobProgress
from sterna.cli.spec_options import SpecFlags, takes_spec_flags
from sterna.errors import InvalidSpec

ARTIFACT_SUFFIX = ".sterna"


@takes_spec_flags
def compress_command(
    flags: SpecFlags,
    model: ModelFile,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="The artifact (a name that ends in .sterna; exports go beside it) or a folder for it.",
            show_default=False,
        ),
    ],
    data: DataFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a model ternary on this machine, without a service. Needs torch."""
    result = compress_to(output, model, data, flags.spec())
    if as_json:
        print_json(result)
        return
    print_result(result)
    places = ", ".join(artifact.url or artifact.name for artifact in result.artifacts)
    stderr_console().print(f"wrote {places}", markup=False)


def compress_to(output: Path, model: Path, data: Path | None, spec: CompressSpec) -> Result:
    """Compress with progress on standard error; files appear at `output` only when all is done.

    Returns:
        The report, its artifacts with the names and the `file:` addresses that they have now.
    """
    try:
        from sterna.compress import compress  # noqa: PLC0415  loads torch: only for those who compress
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise InvalidSpec(
            "compressing needs torch, which is not installed here",
            hint="pip install 'sterna[train]', or send the model to a service with `sterna submit`.",
        ) from None
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".sterna-", dir=output.parent) as scratch, JobProgress() as progress:
        result = compress(model, data, spec, Path(scratch), on_event=progress.on_event, control=lambda: "continue")
        placed = tuple(_place(artifact, Path(scratch), output) for artifact in result.artifacts)
    return result.model_copy(update={"artifacts": placed})


def _place(artifact: ArtifactRef, scratch: Path, output: Path) -> ArtifactRef:
    """Move one file to where it was asked for."""
    if output.suffix == ARTIFACT_SUFFIX and not output.is_dir():
        target = output.with_suffix(Path(artifact.name).suffix)
    else:
        output.mkdir(exist_ok=True)
        target = output / artifact.name
    (scratch / artifact.name).replace(target)
    return artifact.model_copy(update={"name": target.name, "url": target.resolve().as_uri()})
