"""`sterna database`: an operator looks at the schema of the ledger and brings it to this version.

Needs the installation's settings (`STERNA_DATA_DIR`, or `STERNA_DATABASE_URL`), not a service that runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sterna.cli.output import print_json
from sterna.errors import DatabaseOutdated

if TYPE_CHECKING:
    from storage.revisions import Standing

app = typer.Typer(help="The ledger's database of this installation, for its operator.", no_args_is_help=True)

_DataDir = Annotated[
    Path, typer.Option("--data-dir", envvar="STERNA_DATA_DIR", help="Where jobs and files are kept.", file_okay=False)
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("upgrade")
def upgrade_command(data_dir: _DataDir = Path("data"), json_: _Json = False) -> None:
    """Bring the schema to the revision that this version needs. Stop service and workers and make a backup first."""
    from storage.database import upgrade_database  # noqa: PLC0415  the other commands work without these packages

    before = upgrade_database(_url(data_dir))
    if json_:
        print_json({"before": before.found, "revision": before.newest})
    elif before.is_newest:
        typer.echo(f"the database has revision {before.newest} already")
    else:
        typer.echo(f"the database has revision {before.newest} now; before: {before.found or 'empty'}")


@app.command("check")
def check_command(data_dir: _DataDir = Path("data"), json_: _Json = False) -> None:
    """Say which revision the schema has; ends with 8 where it is not the one that this version needs."""
    from storage.database import standing_of  # noqa: PLC0415  the other commands work without these packages

    standing = standing_of(_url(data_dir))
    if json_:
        print_json({"revision": standing.found, "needed": standing.newest})
    if not standing.is_newest:
        raise DatabaseOutdated(_lack(standing), hint="`sterna database upgrade` brings it there")
    if not json_:
        typer.echo(f"the database has revision {standing.newest}, which this version needs")


def _lack(standing: Standing) -> str:
    has = "is empty" if standing.is_empty else f"has revision {standing.found}"
    has += "" if standing.noted or standing.is_empty else " and does not note it"
    return f"the database {has}; this version of Sterna needs {standing.newest}"


def _url(data_dir: Path) -> str:
    from storage.settings import Settings, read_settings  # noqa: PLC0415  the other commands work without the service's packages

    return read_settings(Settings, data_dir=data_dir).prepared().database_url
