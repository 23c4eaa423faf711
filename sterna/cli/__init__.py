"""The command line `sterna`: compress and look into files here, or talk to a service. See `sterna --help`."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command that the arguments name; an installation of the artifact reader alone has no commands."""
    try:
        from sterna.cli.main import main as run  # noqa: PLC0415  its libraries come with an extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"typer", "rich", "httpx", "pydantic"}:
            raise
        sys.stderr.write(
            f"error[INVALID_SPEC]: the command line needs {error.name}, which is not installed\n"
            "hint: install the extra 'client' (commands for a service) or 'train' (compression on this machine).\n"
        )
        sys.exit(2)
    run()
