"""`sterna keys`: an operator makes, lists and revokes API keys, in the ledger itself.

Needs the installation's settings (`STERNA_DATA_DIR`, or `STERNA_DATABASE_URL`), not a service that runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.text import Text

from sterna.cli.output import new_table, print_json, stderr_console, stdout_console
from sterna.errors import InvalidSpec

if TYPE_CHECKING:
    from storage import Ledger
    from storage.keys import ApiKey

app = typer.Typer(help="API keys of this installation, for its operator.", no_args_is_help=True)

_DataDir = Annotated[
    Path, typer.Option("--data-dir", envvar="STERNA_DATA_DIR", help="Where jobs and files are kept.", file_okay=False)
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("create")
def create_command(
    tenant: Annotated[str, typer.Option("--tenant", help="Whose things it opens; a new name is a new tenant.")],
    name: Annotated[str, typer.Option("--name", help="What its holder is called.")] = "unnamed",
    scope: Annotated[
        Literal["read", "submit", "admin"], typer.Option("--scope", help="Each includes those before it.")
    ] = "submit",
    data_dir: _DataDir = Path("data"),
    json_: _Json = False,
) -> None:
    """Make a key and print it, this once. From the first key on the service asks every caller for one."""
    with _ledger(data_dir) as ledger:
        made, key = ledger.create_key(tenant=tenant, name=name, scope=scope)
    if json_:
        print_json(_fields(made) | {"key": key})
        return
    typer.echo(key)
    stderr_console().print(f"{made.id}: scope {made.scope} for tenant {made.tenant}. It is not shown again.")


@app.command("import")
def import_command(
    tenant: Annotated[str, typer.Option("--tenant", help="Whose things it opens; a new name is a new tenant.")],
    name: Annotated[str, typer.Option("--name", help="What its holder is called.")] = "unnamed",
    scope: Annotated[
        Literal["read", "submit", "admin"], typer.Option("--scope", help="Each includes those before it.")
    ] = "submit",
    data_dir: _DataDir = Path("data"),
    json_: _Json = False,
) -> None:
    """Make the key in STERNA_API_KEY known, for set-ups that bring their own. One that is known is left as it is."""
    key = os.environ.get("STERNA_API_KEY", "")
    if not key:
        raise InvalidSpec(
            "STERNA_API_KEY is not set", hint="Set it to the key; a command line could be seen by others."
        )
    with _ledger(data_dir) as ledger:
        known = ledger.import_key(key, tenant=tenant, name=name, scope=scope)
    if json_:
        print_json(_fields(known))
        return
    stderr_console().print(f"{known.id}: scope {known.scope} for tenant {known.tenant}")


@app.command("list")
def list_command(data_dir: _DataDir = Path("data"), json_: _Json = False) -> None:
    """List the keys; the keys themselves are not kept."""
    with _ledger(data_dir) as ledger:
        keys = ledger.keys()
    if json_:
        print_json({"keys": [_fields(key) for key in keys]})
        return
    columns = ("id", "tenant", "name", "scope", "created", "revoked")
    table = new_table(columns, left=columns)
    for key in keys:
        cells = (key.id, key.tenant, key.name, key.scope, _time(key.created_at), _time(key.revoked_at) or "")
        table.add_row(*(Text(cell or "") for cell in cells))
    stdout_console().print(table)


@app.command("revoke")
def revoke_command(
    key_id: Annotated[str, typer.Argument(help="As `sterna keys list` shows it.", metavar="ID")],
    data_dir: _DataDir = Path("data"),
    json_: _Json = False,
) -> None:
    """Make a key useless at once. Revoking the last one closes the service, it does not open it."""
    with _ledger(data_dir) as ledger:
        revoked = ledger.revoke_key(key_id)
    if json_:
        print_json(_fields(revoked))
    else:
        stderr_console().print(f"{revoked.id} is revoked")


@contextmanager
def _ledger(data_dir: Path) -> Iterator[Ledger]:
    from storage.opening import open_ledger  # noqa: PLC0415
    from storage.settings import Settings, read_settings  # noqa: PLC0415  the other commands work without the service's packages

    ledger = open_ledger(read_settings(Settings, data_dir=data_dir))
    try:
        yield ledger
    finally:
        ledger.close()


def _fields(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "tenant": key.tenant,
        "name": key.name,
        "scope": key.scope,
        "created_at": _time(key.created_at),
        "revoked_at": _time(key.revoked_at),
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")
