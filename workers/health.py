"""`python -m workers.health`: has a worker of this host said lately that it lives? For a container's health check.

Asks the ledger, as `/readyz` does: a process that still runs may have lost it. Ends with 0 or, saying why, with 1.
"""

from __future__ import annotations

import socket
import sys
from contextlib import closing

from sqlalchemy.exc import SQLAlchemyError

from sterna.errors import SternaError
from storage import Ledger, Settings
from storage.settings import read_settings


def main() -> int:
    """Look once.

    Returns:
        The exit code.
    """
    host = socket.gethostname()
    try:
        settings = read_settings(Settings)
        with closing(Ledger.open(settings.database_url)) as ledger:
            known = ledger.list_workers(alive_within_s=settings.worker_alive_s)
    except SQLAlchemyError as error:
        # Without its words, which may name the address of the database.
        sys.stderr.write(f"the ledger does not answer: {type(error).__name__}\n")
        return 1
    except SternaError as error:
        sys.stderr.write(f"error[{error.code}]: {error.detail}\n")
        return 1
    # A worker's name begins with its host's, and every container is a host of its own.
    if any(worker.alive and worker.id.startswith(f"{host}-") for worker in known):
        return 0
    sys.stderr.write(f"no worker of {host} has said within {settings.worker_alive_s:g} s that it lives\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
