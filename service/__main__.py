"""`python -m service`: the HTTP service on this machine's own address.

It has no keys yet, so whoever reaches the port may use it: any address but a loopback one is refused.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from service.app import create_app
from service.origin import is_loopback
from sterna.hardening import hide_process
from storage import Settings

USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until it is told to end.

    Returns:
        The exit code: 0, or 2 where the address is refused.
    """
    options = _parser().parse_args(arguments)
    if not is_loopback(options.host):
        sys.stderr.write(
            f"sterna: refusing to listen on {options.host}: without keys only this machine may reach the service\n"
            "hint: use --host 127.0.0.1, and a tunnel or a proxy that authenticates in front of it\n"
        )
        return USAGE_ERROR
    hide_process()
    settings = Settings() if options.data_dir is None else Settings(data_dir=options.data_dir)
    # Long polls may be open when the service is told to end; they are cut off rather than waited for.
    uvicorn.run(create_app(settings), host=options.host, port=options.port, timeout_graceful_shutdown=5)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service", description="The HTTP service of Sterna.")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes any free port (default: %(default)s)")
    parser.add_argument(
        "--data-dir", type=Path, help="where jobs and files are kept (default: STERNA_DATA_DIR or ./data)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
