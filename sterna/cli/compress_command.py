"""`sterna compress`: a model in, an artifact out, in this process and without a service."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
    place = _Place.chosen(output)
    with place.scratch() as scratch, JobProgress() as progress:
        place.check(spec, model)
        result = compress(model, data, spec, scratch, on_event=progress.on_event, control=lambda: "continue")
        placed = tuple(place.move(artifact, scratch) for artifact in result.artifacts)
    return result.model_copy(update={"artifacts": placed})


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the files go.

    Attributes:
        folder: they are made in a scratch folder in it and renamed, which neither crosses file systems nor follows
            links, and is known to be possible before anything is trained.
        stem: their name without its suffix; None: the name that they have.
    """

    folder: Path
    stem: str | None

    @classmethod
    def chosen(cls, output: Path) -> _Place:
        if output.is_symlink():
            raise InvalidSpec(
                f"{output} is a symbolic link; results are not written through links",
                hint=f"Give the place itself: -o {output.resolve()}",
            )
        if output.suffix == ARTIFACT_SUFFIX and not output.is_dir():
            return cls(output.parent, output.stem)
        return cls(output, None)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            made = tempfile.TemporaryDirectory(prefix=".sterna-", dir=self.folder)
        except OSError as error:
            raise InvalidSpec(
                f"nothing can be written to {self.folder}: {error.strerror or error}",
                hint="Choose another place with -o; nothing was trained.",
            ) from None
        with made as name:
            yield Path(name)

    def check(self, spec: CompressSpec, model: Path) -> None:
        """Refuse names that cannot be given to the results, among them that of the model itself."""
        for name in (f"model{ARTIFACT_SUFFIX}", *(f"model.{export}" for export in spec.exports)):
            target = self._target(name)
            if target.exists() and target.samefile(model):
                raise InvalidSpec(
                    f"{target} is the model itself, and a result would take its place",
                    hint="Choose another place with -o; nothing was trained.",
                )
            if target.exists() and not target.is_file():
                raise InvalidSpec(
                    f"{target} is no regular file, and a result would take its place",
                    hint="Choose another place with -o; nothing was trained.",
                )

    def move(self, artifact: ArtifactRef, scratch: Path) -> ArtifactRef:
        target = self._target(artifact.name)
        (scratch / artifact.name).replace(target)
        # Not resolved: a link that somebody put there since would be followed.
        return artifact.model_copy(update={"name": target.name, "url": target.absolute().as_uri()})

    def _target(self, name: str) -> Path:
        return self.folder / (name if self.stem is None else f"{self.stem}{Path(name).suffix}")
