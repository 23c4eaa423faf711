"""A connection to the ledger's database, and the two kinds of transaction: one that reads and one that writes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from sqlite3 import SQLITE_BUSY, OperationalError
from sqlite3 import Connection as SqliteConnection
from typing import Any, Self

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url

from sterna.errors import DatabaseOutdated
from storage.revisions import Standing, find_standing, upgrade

# Any number will do; it keeps two processes from changing the schema at the same time in PostgreSQL.
_SCHEMA_LOCK = 7_265_318_204
# How long a writer waits for its turn in SQLite before "database is locked".
_TURN_S = 30.0
_TICK_S = 0.01


class Database:
    """The engine that the parts of the ledger share. Safe to use from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # PostgreSQL would show each statement the state of its own moment.
        one_state = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._reads_only = {"sterna_reads_only": True} if engine.dialect.name == "sqlite" else one_state

    @classmethod
    def open(cls, url: str) -> Self:
        """Connects, and makes the tables in a database that is empty. An older SQLite file is upgraded, too.

        Args:
            url: SQLAlchemy address, `sqlite:///FILE` or `postgresql+psycopg://…`. A SQLite ledger is a file: threads
                and processes share it, which a database in memory does not allow.

        Raises:
            DatabaseOutdated: its schema is older, and it is a server's: others may work with it as it is.
            DatabaseTooNew, DatabaseForeign: its schema is newer, or none of ours.
        """
        database = cls(_create_engine(url))
        try:
            database._be_newest(url)
        except BaseException:
            database.close()
            raise
        return database

    def _be_newest(self, url: str) -> None:
        with self.read() as connection:
            standing = find_standing(connection)
        if standing.is_newest:
            return
        if self._engine.dialect.name != "sqlite" and not standing.is_empty:
            raise DatabaseOutdated(
                f"the database has revision {standing.found} of the schema, this version of Sterna needs "
                f"{standing.newest}",
                hint="stop the service and the workers, back the database up, then run `sterna database upgrade`",
            )
        upgrade_database(url)

    def close(self) -> None:
        """Closes every connection."""
        self._engine.dispose()

    def ping(self) -> None:
        """Asks the database for the least that it can answer; raises what SQLAlchemy raises when it cannot."""
        with self.read() as connection:
            connection.execute(text("SELECT 1 FROM jobs LIMIT 1"))

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits at the end of the block."""
        with self._engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database and changes nothing."""
        with self._engine.connect().execution_options(**self._reads_only) as connection:
            yield connection


def upgrade_database(url: str) -> Standing:
    """Brings the schema to the newest revision, in one transaction that others wait for.

    Returns:
        How it stood before.

    Raises:
        DatabaseTooNew, DatabaseForeign: its schema is newer, or none of ours.
    """
    with _engine_of(url, foreign_keys=False) as engine, engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})
        before = upgrade(connection)
        if engine.dialect.name == "sqlite":
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            assert not broken, f"an upgrade left rows that refer to nothing: {broken[:3]}"
    return before


def standing_of(url: str) -> Standing:
    """How the schema of a database stands; changes nothing.

    Raises:
        DatabaseTooNew, DatabaseForeign: its schema is newer, or none of ours.
    """
    with _engine_of(url) as engine, Database(engine).read() as connection:
        return find_standing(connection)


@contextmanager
def _engine_of(url: str, *, foreign_keys: bool = True) -> Iterator[Engine]:
    engine = _create_engine(url, foreign_keys=foreign_keys)
    try:
        yield engine
    finally:
        engine.dispose()


def _create_engine(url: str, *, foreign_keys: bool = True) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        # A host that does not answer is given up after seconds, not after the system's two minutes, and a connection
        # whose other end fell silent is noticed within half a minute, so that no lease is lost to it.
        silent = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
        return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 5} | silent)
    engine = create_engine(url, connect_args={"timeout": _TURN_S})
    event.listen(engine, "connect", _prepare_sqlite)
    if foreign_keys:
        event.listen(engine, "connect", _heed_foreign_keys)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: SqliteConnection, _record: Any) -> None:  # noqa: ANN401 - SQLAlchemy's signature
    # Transactions are begun by _begin_sqlite, not guessed from the statements by the driver.
    connection.isolation_level = None
    # Of several that turn a new file to WAL at once, SQLite refuses all but one at once, whatever its time-out says: a
    # reader that wants to write while another does the same would wait for ever.
    deadline = time.monotonic() + _TURN_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except OperationalError as error:
            # The low byte is the class of the code.
            if error.sqlite_errorcode & 0xFF != SQLITE_BUSY or time.monotonic() > deadline:
                raise
        else:
            return
        time.sleep(_TICK_S)


def _heed_foreign_keys(connection: SqliteConnection, _record: Any) -> None:  # noqa: ANN401 - SQLAlchemy's signature
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the write lock at once: one that reads first and writes later would fail, without waiting,
    # when another writer came in between.
    reads_only = connection.get_execution_options().get("sterna_reads_only", False)
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")
