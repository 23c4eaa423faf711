import json

import pytest
from typer.testing import CliRunner

from sterna.cli.main import app
from sterna.errors import InvalidSpec
from storage import Ledger, Settings


@pytest.fixture
def keys(tmp_path, monkeypatch):
    monkeypatch.setenv("STERNA_DATA_DIR", str(tmp_path / "data"))

    def run(*arguments):
        done = CliRunner().invoke(app, ["keys", *arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def test_create_list_and_revoke(keys, tmp_path):
    key = keys("create", "--tenant", "acme", "--name", "ci").strip()
    made = json.loads(keys("create", "--tenant", "acme", "--scope", "admin", "--json"))
    ledger = Ledger.open(Settings(data_dir=tmp_path / "data").database_url)
    found = ledger.find_key(key)
    assert (found.tenant, found.name, found.scope) == ("acme", "ci", "submit")
    assert ledger.find_key(made["key"]).id == made["id"]
    listed = keys("list")
    assert found.id in listed
    assert key not in listed + keys("list", "--json")
    keys("revoke", found.id)
    assert ledger.find_key(key) is None
    revoked = {one["id"]: one["revoked_at"] for one in json.loads(keys("list", "--json"))["keys"]}
    assert revoked[found.id]
    assert revoked[made["id"]] is None
    ledger.close()


def test_a_key_of_the_environment_is_imported_and_not_shown(keys, tmp_path, monkeypatch):
    key = "sterna_" + "k" * 43
    monkeypatch.setenv("STERNA_API_KEY", key)
    arguments = ("import", "--tenant", "acme", "--name", "first", "--scope", "admin")
    made = json.loads(keys(*arguments, "--json"))
    assert keys(*arguments) == ""
    [listed] = json.loads(keys("list", "--json"))["keys"]
    assert listed == made
    assert key not in json.dumps(made)
    ledger = Ledger.open(Settings(data_dir=tmp_path / "data").database_url)
    assert ledger.find_key(key).id == made["id"]
    ledger.close()


def test_no_key_in_the_environment_is_said(keys, monkeypatch):
    monkeypatch.delenv("STERNA_API_KEY", raising=False)
    with pytest.raises(InvalidSpec, match="STERNA_API_KEY is not set"):
        keys("import", "--tenant", "acme")
