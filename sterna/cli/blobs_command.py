"""`sterna blobs`: an operator copies the content of the blob store, for backups, and looks whether all of it is there.

Needs the installation's settings (`STERNA_DATA_DIR`, or `STERNA_STORAGE_URL` and `STERNA_DATABASE_URL`), not a service
that runs.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sterna.cli.output import print_json, stderr_console
from sterna.cli.progress import CountProgress
from sterna.errors import ContentMissing, InvalidSpec

if TYPE_CHECKING:
    from storage import Settings

app = typer.Typer(help="The content of this installation's blob store, for its operator.", no_args_is_help=True)

_DataDir = Annotated[
    Path, typer.Option("--data-dir", envvar="STERNA_DATA_DIR", help="Where jobs and files are kept.", file_okay=False)
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("copy")
def copy_command(
    to: Annotated[str, typer.Option("--to", help="Copy this installation's content there.", metavar="URL")] = "",
    from_: Annotated[str, typer.Option("--from", help="Copy that content into this one's.", metavar="URL")] = "",
    data_dir: _DataDir = Path("data"),
    json_: _Json = False,
) -> None:
    """Copy the content that the target lacks, such as `file:///backup` or `s3://bucket/folder`. May be repeated."""
    if bool(to) == bool(from_):
        raise InvalidSpec("copying needs one of --to and --from", hint="--to URL makes a backup, --from URL reads one.")
    from storage import BlobStore  # noqa: PLC0415  the other commands work without the service's packages
    from storage.copies import copy_blobs  # noqa: PLC0415

    settings = _settings(data_dir)
    own, other = BlobStore.open(settings.storage_url), BlobStore.open(to or from_)
    source, target = (own, other) if to else (other, own)
    with CountProgress("blobs") as progress:
        copied = copy_blobs(source, target, scratch=settings.scratch_folder, on_progress=progress.on_count)
    if json_:
        print_json({"copied": copied})
    else:
        stderr_console().print(f"{copied} blobs copied")


@app.command("check")
def check_command(data_dir: _DataDir = Path("data"), json_: _Json = False) -> None:
    """Name the content that jobs and uploads refer to and that is not there; ends with 8 where there is any."""
    from storage import BlobStore, Ledger  # noqa: PLC0415  the other commands work without the service's packages

    settings = _settings(data_dir)
    with closing(Ledger.open(settings.database_url)) as ledger:
        wanted = ledger.referenced()
    there = set(BlobStore.open(settings.storage_url).digests())
    missing = [sha256 for sha256 in wanted if sha256 not in there]
    if json_:
        print_json({"referenced": len(wanted), "missing": missing})
    else:
        for sha256 in missing:
            typer.echo(sha256)
    if missing:
        raise ContentMissing(
            f"{len(missing)} of the {len(wanted)} files that jobs and uploads refer to are not in the blob store",
            hint="copy them from a backup: `sterna blobs copy --from URL`",
        )
    stderr_console().print(f"all {len(wanted)} files that jobs and uploads refer to are there")


def _settings(data_dir: Path) -> Settings:
    from storage.settings import Settings, read_settings  # noqa: PLC0415  the other commands work without the service's packages

    return read_settings(Settings, data_dir=data_dir).prepared()
