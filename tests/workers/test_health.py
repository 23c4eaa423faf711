import os
import socket
import sqlite3
import subprocess
import sys

import pytest

from storage import Ledger, Settings
from workers.health import main


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("STERNA_DATA_DIR", str(tmp_path))
    ledger = Ledger.open(Settings().prepared().database_url)
    yield ledger
    ledger.close()


def test_a_worker_of_this_host_that_beat_lately_is_well(ledger, tmp_path, monkeypatch, capsys):
    host = socket.gethostname()
    assert main() == 1
    ledger.beat("elsewhere-1-abc", capacity=1)
    ledger.beat(f"{host}2-1-abc", capacity=1)
    assert main() == 1
    assert host in capsys.readouterr().err
    ledger.beat(f"{host}-1-abc", capacity=1)
    assert main() == 0
    with sqlite3.connect(tmp_path / "sterna.db") as database:
        database.execute("UPDATE workers SET seen_us = seen_us - 120000000")
    database.close()
    assert main() == 1
    monkeypatch.setenv("STERNA_WORKER_ALIVE_S", "3600")
    assert main() == 0


def test_a_ledger_that_is_away_is_said_without_its_address(monkeypatch, capsys):
    monkeypatch.setenv("STERNA_DATABASE_URL", "postgresql+psycopg://sterna:secret@127.0.0.1:9/sterna?connect_timeout=2")
    assert main() == 1
    told = capsys.readouterr().err
    assert "the ledger does not answer" in told
    assert "secret" not in told


@pytest.mark.usefixtures("ledger")
def test_a_ledger_of_another_version_is_no_ledger(tmp_path, capsys):
    with sqlite3.connect(tmp_path / "sterna.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'ffff_of_the_future'")
    database.close()
    assert main() == 1
    assert "error[DATABASE_TOO_NEW]" in capsys.readouterr().err


def test_it_is_asked_by_a_command_that_loads_no_torch(tmp_path):
    environment = os.environ | {"STERNA_DATA_DIR": str(tmp_path), "STERNA_DATABASE_URL": f"sqlite:///{tmp_path}/l.db"}
    code = "import sys, runpy; sys.modules['torch'] = None; runpy.run_module('workers.health', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no worker of" in done.stderr


def test_a_setting_that_cannot_be_used_is_named(monkeypatch, capsys):
    monkeypatch.setenv("STERNA_WORKER_ALIVE_S", "soon")
    assert main() == 1
    assert "STERNA_WORKER_ALIVE_S" in capsys.readouterr().err
