"""Revisions on both kinds of database: what they make, what they keep, and what is refused."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect

from sterna.errors import DatabaseForeign, DatabaseOutdated, DatabaseTooNew
from storage import Ledger, revisions
from storage.database import standing_of, upgrade_database
from storage.schema import METADATA

BEFORE_REVISIONS = Path(__file__).with_name("before_revisions.sql").read_text()


@contextmanager
def connected(url):
    engine = create_engine(url)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def run_sql(url, text):
    with connected(url) as connection:
        for statement in text.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement.replace("%", "%%"))


def described(url):
    """What a database holds its rows to, beyond what Alembic compares."""
    with connected(url) as connection:
        look = inspect(connection)
        return {
            table: {
                "columns": [
                    (column["name"], str(column["type"]), column["nullable"]) for column in look.get_columns(table)
                ],
                "primary key": look.get_pk_constraint(table)["constrained_columns"],
                "checks": sorted((check["name"], check["sqltext"]) for check in look.get_check_constraints(table)),
                "unique": sorted(one["column_names"] for one in look.get_unique_constraints(table)),
                "indexes": sorted((one["name"], one["column_names"]) for one in look.get_indexes(table)),
                "foreign keys": sorted(
                    (key["constrained_columns"], key["referred_table"], key["options"])
                    for key in look.get_foreign_keys(table)
                ),
            }
            for table in look.get_table_names()
            if table != "alembic_version"
        }


def assert_is_whole(url):
    """Everything that the fixture holds is read through the ledger, as it was."""
    ledger = Ledger.open(url)
    jobs = {job.state: job for job in ledger.jobs(tenant="acme").jobs}
    done = jobs["succeeded"]
    assert (done.labels, done.result.ratio) == ({"team": "vision"}, 10)
    events = ledger.events(done.id, tenant="acme")
    assert [event.body.state for event in events.events] == ["queued", "running", "succeeded"]
    assert ledger.log(done.id, tenant="acme") == (1, "begun")
    sweep = ledger.sweep(jobs["queued"].sweep_id, tenant="acme")
    assert [point.target_sparsity for point in sweep.points] == [0.5, 0.6]
    keys = ledger.keys()
    assert keys[0].name == "ci"
    (webhook,) = ledger.webhooks(tenant="acme")
    assert len(ledger.deliveries(webhook.id, tenant="acme")) == 4
    assert [worker.id for worker in ledger.list_workers(alive_within_s=60)] == ["w1"]
    assert ledger.reap(max_attempts=3) == 1  # the fixture's lease ran out long ago
    ledger.close()


@pytest.fixture
def next_revision(tmp_path, monkeypatch):
    """Adds a revision after the newest, as a later version of Sterna would have it."""

    def add(upgrade):
        folder = tmp_path / "later"
        shutil.copytree(revisions._FOLDER, folder)
        newest = revisions.newest_revision()
        text = (
            f"import sqlalchemy as sa\nfrom alembic import op\n\nrevision = 'later'\ndown_revision = {newest!r}\n\n\n"
        )
        (folder / "versions" / "v9999_later.py").write_text(f"{text}def upgrade():\n{upgrade}")
        monkeypatch.setattr(revisions, "_FOLDER", folder)

    return add


def test_revisions_make_what_the_schema_says(new_url):
    made, wanted = new_url(), new_url()
    Ledger.open(made).close()
    with connected(made) as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    with connected(wanted) as connection:
        METADATA.create_all(connection)
    assert described(made) == described(wanted)


@pytest.mark.parametrize("revision", revisions.revisions())
def test_a_database_of_each_revision_is_upgraded_with_its_rows(new_url, revision):
    url = new_url()
    run_sql(url, BEFORE_REVISIONS)
    with connected(url) as connection:  # SQLite heeds no foreign keys here
        revisions.upgrade(connection, revision)
    before = upgrade_database(url)
    assert (before.found, before.noted) == (revision, True)
    assert standing_of(url).is_newest
    assert_is_whole(url)


def test_a_database_from_before_revisions_is_taken_over(new_url):
    url = new_url()
    run_sql(url, BEFORE_REVISIONS)
    if url.startswith("postgresql"):
        with pytest.raises(DatabaseOutdated) as refused:
            Ledger.open(url)
        assert "sterna database upgrade" in refused.value.hint
        assert upgrade_database(url).found == revisions.BASELINE
    assert_is_whole(url)
    assert standing_of(url).is_newest


REMADE = """\
    with op.batch_alter_table("jobs") as batch:
        batch.alter_column("patience", type_=sa.BigInteger())
        batch.add_column(sa.Column("urgency", sa.Integer(), nullable=False, server_default="3"))
"""


def test_a_table_is_made_anew_and_what_hangs_on_its_rows_stays(new_url, next_revision):
    url = new_url()
    run_sql(url, BEFORE_REVISIONS)
    upgrade_database(url)
    before = described(url)["jobs"]["checks"]
    next_revision(REMADE)
    if url.startswith("postgresql"):
        with pytest.raises(DatabaseOutdated):
            Ledger.open(url)
        upgrade_database(url)
    assert_is_whole(url)
    with connected(url) as connection:
        assert connection.exec_driver_sql("SELECT DISTINCT urgency FROM jobs").scalars().all() == [3]
    assert described(url)["jobs"]["checks"] == before


HALF = """\
    op.add_column("jobs", sa.Column("urgency", sa.Integer()))
    op.execute("this is no SQL")
"""


def test_a_revision_that_fails_changes_nothing(new_url, next_revision):
    url = new_url()
    Ledger.open(url).close()
    before = described(url)
    newest = revisions.newest_revision()
    next_revision(HALF)
    with pytest.raises(Exception, match=r"no SQL|syntax"):
        upgrade_database(url)
    assert described(url) == before
    assert standing_of(url).found == newest


def test_many_upgrade_one_database_at_once(new_url, next_revision):
    url = new_url()
    run_sql(url, BEFORE_REVISIONS)
    next_revision(REMADE)
    barrier = Barrier(6)

    def upgraded(_):
        barrier.wait()
        return upgrade_database(url).is_newest

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(upgraded, range(6))) == [False] + [True] * 5
    assert_is_whole(url)


def test_a_database_of_a_newer_version_is_refused(new_url):
    url = new_url()
    Ledger.open(url).close()
    run_sql(url, "UPDATE alembic_version SET version_num = '2999'")
    for look in (Ledger.open, upgrade_database, standing_of):
        with pytest.raises(DatabaseTooNew, match=r"'2999'.*made by a newer version"):
            look(url)


@pytest.mark.parametrize(
    "damage", ["DROP TABLE deliveries", "ALTER TABLE jobs DROP COLUMN sandbox", "ALTER TABLE jobs ADD COLUMN x TEXT"]
)
def test_tables_of_no_version_are_refused_and_left_alone(new_url, damage):
    url = new_url()
    run_sql(url, BEFORE_REVISIONS)
    run_sql(url, damage)
    before = described(url)
    for look in (Ledger.open, upgrade_database, standing_of):
        with pytest.raises(DatabaseForeign, match="deliveries" if "deliveries" in damage else "jobs"):
            look(url)
    assert described(url) == before


def test_what_is_not_ours_is_no_obstacle(new_url):
    url = new_url()
    run_sql(url, "CREATE TABLE theirs (id TEXT)")
    Ledger.open(url).close()
    assert standing_of(url).is_newest
