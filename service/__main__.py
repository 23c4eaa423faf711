"""`python -m service`: the HTTP service.

Without keys whoever reaches the port may use it: any address but a loopback one is refused then.
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
from sterna.json_logs import log_as_json
from storage import Ledger, Settings

USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until it is told to end.

    Returns:
        The exit code: 0, or 2 where the address is refused.
    """
    options = _parser().parse_args(arguments)
    hide_process()
    log_as_json()
    settings = Settings() if options.data_dir is None else Settings(data_dir=options.data_dir)
    if not is_loopback(options.host) and not _has_keys(settings):
        sys.stderr.write(
            f"sterna: refusing to listen on {options.host}: without keys only this machine may reach the service\n"
            "hint: make a key with `sterna keys create`, or use --host 127.0.0.1\n"
        )
        return USAGE_ERROR
    # Long polls may be open when the service is told to end; they are cut off rather than waited for.
    uvicorn.run(
        create_app(settings),
        host=options.host,
        port=options.port,
        timeout_graceful_shutdown=5,
        log_config=None,
        access_log=False,
    )
    return 0


def _has_keys(settings: Settings) -> bool:
    ledger = Ledger.open(settings.prepared().database_url)
    try:
        return ledger.has_keys(usable=True)
    finally:
        ledger.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service", description="The HTTP service of Sterna.")
    parser.add_argument(
        "--host", default="127.0.0.1", help="any but a loopback address needs keys (default: %(default)s)"
    )
    parser.add_argument("--port", type=int, default=8000, help="0 takes any free port (default: %(default)s)")
    parser.add_argument(
        "--data-dir", type=Path, help="where jobs and files are kept (default: STERNA_DATA_DIR or ./data)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
