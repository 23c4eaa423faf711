"""The one clock of the ledger: the database's own.

Workers on several hosts compare leases with each other, and their clocks differ. So no time is ever sent to the
database: every statement that needs the present asks for it in SQL. Times are whole microseconds since 1970 in UTC,
which compare and add the same way in every database (SQLite's clock counts in milliseconds).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class now_us(FunctionElement[int]):  # noqa: N801 - reads as the SQL function that it is
    """The present, in microseconds since 1970 UTC, read by the database when the statement runs."""

    type = BigInteger()
    inherit_cache = True


@compiles(now_us, "sqlite")
def _in_sqlite(_element: now_us, _compiler: SQLCompiler, **_: Any) -> str:  # noqa: ANN401 - SQLAlchemy's signature
    # julianday counts days since 4714 BC; 2440587.5 is 1970-01-01T00:00. Rounding first to milliseconds, which is
    # what SQLite's clock gives, removes the last bits that a 64-bit float of days cannot hold.
    return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000"


@compiles(now_us, "postgresql")
def _in_postgresql(_element: now_us, _compiler: SQLCompiler, **_: Any) -> str:  # noqa: ANN401 - SQLAlchemy's signature
    # clock_timestamp, not now(): the latter stands still within a transaction.
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"


def microseconds(seconds: float) -> int:
    """A duration in the ledger's unit."""
    return round(seconds * 1_000_000)


def as_datetime(at_us: int) -> datetime:
    """A stored time as an aware datetime in UTC."""
    return _EPOCH + timedelta(microseconds=at_us)
