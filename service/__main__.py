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
from sterna.errors import SetupError
from sterna.hardening import hide_process
from sterna.json_logs import log_as_json
from storage import Settings
from storage.opening import open_blobs, open_ledger
from storage.settings import read_settings

USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until it is told to end.

    Returns:
        The exit code: 0, 2 where the address is refused, 8 where a setting cannot be used.
    """
    options = _parser().parse_args(arguments)
    hide_process()
    log_as_json()
    given = {} if options.data_dir is None else {"data_dir": options.data_dir}
    try:
        settings = read_settings(Settings, **given)
        has_keys = _has_keys(settings)
    except SetupError as error:
        sys.stderr.write(
            f"sterna: the service does not start: error[{error.code}]: {error.detail}\nhint: {error.hint}\n"
        )
        return error.exit_code
    if not is_loopback(options.host) and not has_keys:
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
    """Whether a key can be used; opens all that the service needs, so that what is wrong is said before it listens.

    Raises:
        SetupError: a setting cannot be used.
    """
    ledger = open_ledger(settings)
    open_blobs(settings)
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
