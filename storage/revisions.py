"""Which revision of the schema a database has, and the way from there to the newest.

`storage/schema.py` says what the tables are; the files in `migrations/versions` say how an older database becomes that.
Both are held together by a test. There is one line of revisions, and each runs in the transaction that notes it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, Inspector, create_engine, inspect

from sterna.errors import DatabaseForeign, DatabaseTooNew

BASELINE: Final = "0001"
"""What databases have that were made before revisions were noted in them."""

_FOLDER = Path(__file__).parent / "migrations"
# Alembic's `op` is one for the whole process, so one thread at a time may use it.
_OPERATING = threading.Lock()
_LOADING = threading.Lock()

_Columns = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Standing:
    """How the schema of a database stands to this version of Sterna.

    Attributes:
        found: the revision of the database; None: it has no tables of ours.
        newest: the revision that this version of Sterna works with.
        noted: whether the database itself says its revision; those made before revisions do not.
    """

    found: str | None
    newest: str
    noted: bool

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing yet."""
        return self.found is None

    @property
    def is_newest(self) -> bool:
        """Whether nothing is left to do."""
        return self.noted and self.found == self.newest


def find_standing(connection: Connection) -> Standing:
    """Reads which revision a database has; changes nothing.

    Raises:
        DatabaseTooNew: a newer version of Sterna made it what it is.
        DatabaseForeign: its tables are those of no version.
    """
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None:
        if found not in revisions():
            raise DatabaseTooNew(
                f"the database has revision {found[:80]!r} of the schema, made by a newer version of Sterna; "
                f"this one knows {newest_revision()!r} at most",
                hint="install the newer version here, or restore the backup made before it was installed",
            )
        return Standing(found, newest_revision(), noted=True)
    return Standing(BASELINE if _has_baseline(connection) else None, newest_revision(), noted=False)


def upgrade(connection: Connection, to: str | None = None) -> Standing:
    """Applies the revisions that the database lacks, within the transaction of the connection.

    Args:
        connection: of one who alone may change the schema. In SQLite its foreign keys must be off: a table that is
            made anew is dropped first, and what hangs on its rows would be deleted with them.
        to: the last revision to apply; None: the newest.

    Returns:
        How it stood before.

    Raises:
        DatabaseTooNew, DatabaseForeign: as `find_standing`.
    """
    before = find_standing(connection)
    context = MigrationContext.configure(connection)
    if before.found is not None and not before.noted:
        context.stamp(_scripts(), before.found)
    with _OPERATING, Operations.context(context):
        for script in _missing(before.found, to or before.newest):
            script.module.upgrade()
            context.stamp(_scripts(), script.revision)
    return before


def revisions() -> tuple[str, ...]:
    """The names of all revisions, oldest first."""
    return tuple(script.revision for script in _missing(None, newest_revision()))


def newest_revision() -> str:
    """The revision that the code works with."""
    newest = _scripts().get_current_head()
    assert newest is not None
    return newest


def _scripts() -> ScriptDirectory:
    with _LOADING:
        return _load(_FOLDER)


@cache
def _load(folder: Path) -> ScriptDirectory:
    scripts = ScriptDirectory(str(folder))
    scripts.get_heads()  # reads the files now, while no other thread looks
    return scripts


def _missing(found: str | None, to: str) -> list[Script]:
    """The revisions after one, up to another, oldest first."""
    return list(_scripts().iterate_revisions(to, found or "base"))[::-1]


def _has_baseline(connection: Connection) -> bool:
    """Whether tables of ours are there although no revision is noted.

    Raises:
        DatabaseForeign: some are, and they are not those of the baseline.
    """
    expected = _baseline_columns()
    inspector = inspect(connection)
    ours = [table for table in inspector.get_table_names() if table in expected]
    found = _columns(inspector, ours)
    if not found:
        return False
    wrong = sorted(table for table in expected if found.get(table) != expected[table])
    if wrong:
        raise DatabaseForeign(
            f"the database has tables named as ours and notes no revision; {', '.join(wrong)} "
            "are missing or have other columns than those of the first revision",
            hint="name another database, or an empty one; one made by an early version cannot be carried over",
        )
    return True


@cache
def _baseline_columns() -> _Columns:
    """The columns of each table of the baseline, from the revision itself."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        with _OPERATING, Operations.context(MigrationContext.configure(connection)):
            _missing(None, BASELINE)[0].module.upgrade()
        inspector = inspect(connection)
        columns = _columns(inspector, inspector.get_table_names())
    engine.dispose()
    return columns


def _columns(inspector: Inspector, tables: list[str]) -> _Columns:
    return {table: frozenset(column["name"] for column in inspector.get_columns(table)) for table in tables}
