"""Builds the command line from its commands, and is the one place where an error becomes words and an exit code.

Results go to standard output, everything else (progress, tables of running work, errors) to standard error, so that
`sterna … --json | jq` always works. Exit codes: 0 ok, 1 different (diff), 2 usage, 3 job failed, 4 acceptance missed,
5 time-out, 6 auth or quota, 7 bad model, data or artifact, 8 the installation does not
start; 130 after Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

import sterna
from sterna.cli.blobs_command import app as blobs_app
from sterna.cli.compress_command import compress_command
from sterna.cli.database_command import app as database_app
from sterna.cli.diff_command import diff_command
from sterna.cli.export_command import export_command
from sterna.cli.file_commands import inspect_command, unpack_command, verify_command
from sterna.cli.keys_command import app as keys_app
from sterna.cli.output import print_error
from sterna.cli.run_command import run_command
from sterna.cli.serve_command import serve_command
from sterna.cli.service_commands import (
    cancel_command,
    delete_command,
    download_command,
    estimate_command,
    events_command,
    list_command,
    logs_command,
    retry_command,
    status_command,
    stop_command,
    submit_command,
    wait_command,
)
from sterna.cli.sweep_command import app as sweep_app
from sterna.errors import InvalidSpec, JobError, SternaError
from sterna.threads import calm_threads

INTERRUPTED = 130
_WRONG_PATH = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError)
_SERVICE = "Talk to a service (STERNA_URL, STERNA_API_KEY)"
_FILES = "Files on this machine"

app = typer.Typer(
    name="sterna",
    help="Make trained networks ternary, with exactly the share of zeros that you ask for.",
    epilog="Exit codes: 0 ok · 1 different (diff) · 2 usage · 3 job failed · 4 acceptance missed · 5 time-out ·"
    " 6 auth or quota · 7 bad model, data or artifact · 8 the installation does not start.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("compress", rich_help_panel=_FILES)(compress_command)
app.command("inspect", rich_help_panel=_FILES)(inspect_command)
app.command("verify", rich_help_panel=_FILES)(verify_command)
app.command("unpack", rich_help_panel=_FILES)(unpack_command)
app.command("export", rich_help_panel=_FILES)(export_command)
app.command("run", rich_help_panel=_FILES)(run_command)
app.command("diff", rich_help_panel=_FILES)(diff_command)
app.command("serve", rich_help_panel=_SERVICE)(serve_command)
app.add_typer(database_app, name="database", rich_help_panel=_SERVICE)
app.add_typer(blobs_app, name="blobs", rich_help_panel=_SERVICE)
app.add_typer(keys_app, name="keys", rich_help_panel=_SERVICE)
app.command("submit", rich_help_panel=_SERVICE)(submit_command)
app.command("estimate", rich_help_panel=_SERVICE)(estimate_command)
app.add_typer(sweep_app, name="sweep", rich_help_panel=_SERVICE)
app.command("status", rich_help_panel=_SERVICE)(status_command)
app.command("wait", rich_help_panel=_SERVICE)(wait_command)
app.command("events", rich_help_panel=_SERVICE)(events_command)
app.command("download", rich_help_panel=_SERVICE)(download_command)
app.command("cancel", rich_help_panel=_SERVICE)(cancel_command)
app.command("stop", rich_help_panel=_SERVICE)(stop_command)
app.command("retry", rich_help_panel=_SERVICE)(retry_command)
app.command("delete", rich_help_panel=_SERVICE)(delete_command)
app.command("logs", rich_help_panel=_SERVICE)(logs_command)
app.command("list", rich_help_panel=_SERVICE)(list_command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sterna {sterna.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    del version


def main() -> None:
    """Run the command line; ends the process."""
    calm_threads()  # before a command loads torch
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # now, while an error of the disk can still be told
    except SternaError as error:
        print_error(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe, such as `head`, has seen enough
        sys.exit(0)
    except OSError as error:
        said = _said_of(error)
        print_error(said)
        # What stdout still holds cannot be written; without this, Python tries again at the end and exits with 120.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(said.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _said_of(error: OSError) -> SternaError:
    """A wrong path is the caller's to correct; a disk that is full or fails is nobody's request."""
    where = f"{error.filename}: " if error.filename else ""
    what = f"{where}{error.strerror or error}"
    if isinstance(error, _WRONG_PATH):
        return InvalidSpec(what)
    return JobError(what, hint="Try again; if it happens again, look at the disk and at the limits of this machine.")
