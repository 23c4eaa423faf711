"""A connection to the ledger's database, and the two kinds of transaction: one that reads and one that writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from sqlite3 import Connection as SqliteConnection
from typing import Any, Self

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url

from storage.schema import METADATA

# Any number will do; it keeps two processes from creating the tables at the same time in PostgreSQL.
_SCHEMA_LOCK = 7_265_318_204


class Database:
    """The engine that the parts of the ledger share. Safe to use from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str) -> Self:
        """Connects, and creates the tables where they are absent.

        Args:
            url: SQLAlchemy address, `sqlite:///FILE` or `postgresql+psycopg://…`. A SQLite ledger is a file: threads
                and processes share it, which a database in memory does not allow.
        """
        engine = _create_engine(url)
        database = cls(engine)
        with database.write() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})
            METADATA.create_all(connection)
        return database

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
        with self._engine.connect().execution_options(sterna_reads_only=True) as connection:
            yield connection


def _create_engine(url: str) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True)
    # 30 s is how long a writer waits for its turn before "database is locked".
    engine = create_engine(url, connect_args={"timeout": 30})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: SqliteConnection, _record: Any) -> None:  # noqa: ANN401 - SQLAlchemy's signature
    # Transactions are begun by _begin_sqlite, not guessed from the statements by the driver.
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the write lock at once: one that reads first and writes later would fail, without waiting,
    # when another writer came in between.
    reads_only = connection.get_execution_options().get("sterna_reads_only", False)
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")
