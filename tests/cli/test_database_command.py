import json
import sqlite3

import pytest
from typer.testing import CliRunner

from sterna.cli.main import app
from sterna.errors import DatabaseOutdated
from storage import revisions


@pytest.fixture
def database(tmp_path, monkeypatch):
    monkeypatch.setenv("STERNA_DATA_DIR", str(tmp_path))

    def run(*arguments):
        done = CliRunner().invoke(app, ["database", *arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def test_upgrade_and_check(database, tmp_path):
    newest = revisions.newest_revision()
    with pytest.raises(DatabaseOutdated, match="is empty") as refused:
        database("check")
    assert refused.value.exit_code == 8
    assert json.loads(database("upgrade", "--json")) == {"before": None, "revision": newest}
    assert "already" in database("upgrade")
    assert json.loads(database("check", "--json")) == {"revision": newest, "needed": newest}
    assert newest in database("check")
    with sqlite3.connect(tmp_path / "sterna.db") as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(newest,)]
    connection.close()
