"""What an installation says when it cannot start: the variable, the reason, what to do, and never a password."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sterna.errors import BackendUnreachable, SettingUnusable, SetupError
from storage import Ledger, Settings
from storage.opening import check_broker, open_blobs, open_ledger
from tests.chaos.full_disk import can_mount, filled, small_disk
from tests.servers.real_server import free_port

PASSWORD = "hunter2"


def settings(tmp_path, **fields):
    return Settings(data_dir=tmp_path / "data", **fields)


def assert_says(refused, kind, *words):
    error = refused.value
    assert type(error) is kind
    said = f"{error.detail} {error.hint}"
    assert all(word in said for word in words), said
    assert PASSWORD not in said
    assert error.hint


@pytest.mark.parametrize("url", ["nonsense", f"mysql://me:{PASSWORD}@db/x", f"postgresql://me:{PASSWORD}@db/x", "://"])
def test_an_address_of_no_database(tmp_path, url):
    with pytest.raises(SetupError) as refused:
        open_ledger(settings(tmp_path, database_url=url))
    assert_says(refused, SettingUnusable, "STERNA_DATABASE_URL", "postgresql+psycopg://")


def test_a_database_that_does_not_answer_is_waited_for_and_then_named(tmp_path):
    url = f"postgresql+psycopg://me:{PASSWORD}@127.0.0.1:{free_port()}/x"
    with pytest.raises(SetupError) as refused:
        open_ledger(settings(tmp_path, database_url=url), wait_s=1)
    assert_says(refused, BackendUnreachable, "STERNA_DATABASE_URL", "refused")


def test_a_database_that_comes_up_late_is_opened(tmp_path, postgres, monkeypatch):
    tries = []
    real = Ledger.open

    def start_then_open(url):
        tries.append(url)
        if len(tries) == 2:
            postgres.start()
        return real(url)

    with postgres.database() as url:
        postgres.stop()
        monkeypatch.setattr(Ledger, "open", start_then_open)
        open_ledger(settings(tmp_path, database_url=url)).close()
    assert len(tries) >= 2


def test_a_missing_driver(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SetupError) as refused:
        open_ledger(settings(tmp_path, database_url="postgresql+psycopg://db/x"))
    assert_says(refused, SettingUnusable, "STERNA_DATABASE_URL", "psycopg", "sterna[postgres]")


def test_a_data_folder_that_is_a_file(tmp_path):
    (tmp_path / "data").write_bytes(b"")
    with pytest.raises(SetupError) as refused:
        open_ledger(settings(tmp_path))
    assert_says(refused, SettingUnusable, "STERNA_DATA_DIR", str(tmp_path / "data"))


def test_a_database_file_that_is_none(tmp_path):
    (tmp_path / "file").write_bytes(b"no database " * 1000)
    with pytest.raises(SetupError) as refused:
        open_ledger(settings(tmp_path, database_url=f"sqlite:///{tmp_path}/file"))
    assert_says(refused, BackendUnreachable, "STERNA_DATABASE_URL", "not a database")


@pytest.mark.parametrize("url", ["nonsense", "foo://bucket/x", "s3://", "gs4://x/y"])
def test_an_address_of_no_storage(tmp_path, url):
    with pytest.raises(SetupError) as refused:
        open_blobs(settings(tmp_path, storage_url=url))
    assert_says(refused, SettingUnusable, "STERNA_STORAGE_URL", "s3://BUCKET")


def test_a_bucket_that_is_not_there(tmp_path, s3_url):
    open_blobs(settings(tmp_path, storage_url=s3_url))
    with pytest.raises(SetupError) as refused:
        open_blobs(settings(tmp_path, storage_url="s3://missing/x"))
    assert_says(refused, SettingUnusable, "STERNA_STORAGE_URL", "no such bucket")


@pytest.mark.parametrize("variable", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_a_wrong_key_of_a_bucket(tmp_path, s3_url, monkeypatch, variable):
    monkeypatch.setenv(variable, PASSWORD)
    with pytest.raises(SetupError) as refused:
        open_blobs(settings(tmp_path, storage_url=s3_url))
    assert_says(refused, SettingUnusable, "STERNA_STORAGE_URL", f"mend {variable}")


def test_a_storage_that_does_not_answer(tmp_path, s3_url, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(SetupError) as refused:
        open_blobs(settings(tmp_path, storage_url=s3_url))
    assert_says(refused, BackendUnreachable, "STERNA_STORAGE_URL")


@pytest.mark.parametrize("url", ["nonsense", f"smoke://me:{PASSWORD}@signal/0"])
def test_an_address_of_no_broker(tmp_path, url):
    with pytest.raises(SetupError) as refused:
        check_broker(settings(tmp_path, broker_url=url))
    assert_says(refused, SettingUnusable, "STERNA_BROKER_URL", "redis://")


def test_a_broker_that_does_not_answer(tmp_path, valkey_url):
    check_broker(settings(tmp_path, broker_url=valkey_url))
    check_broker(settings(tmp_path))
    with pytest.raises(SetupError) as refused:
        check_broker(settings(tmp_path, broker_url=f"redis://:{PASSWORD}@127.0.0.1:{free_port()}/0"), wait_s=1)
    assert_says(refused, BackendUnreachable, "STERNA_BROKER_URL")


WAYS = {
    "service": ("service", "--port", "0"),
    "worker": ("workers",),
    "serve": ("sterna.cli", "serve", "--port", "0"),
}


def start(way, data_dir, **environment):
    """Start it as an operator does and wait until it has given up; what it said."""
    named = {f"STERNA_{name.upper()}": value for name, value in environment.items()}
    done = subprocess.run(
        [sys.executable, "-m", *WAYS[way]],
        env=os.environ | {"STERNA_DATA_DIR": str(data_dir)} | named,
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == SetupError.exit_code == 8, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("hint: ") >= 1
    return done.stderr


@pytest.mark.parametrize("way", ["service", "worker"])
def test_a_schema_that_is_too_old(tmp_path, way, postgres_url):
    ledger = Ledger.open(postgres_url)
    with ledger.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    ledger.close()
    said = start(way, tmp_path, database_url=postgres_url)
    assert "does not start: error[DATABASE_OUTDATED]" in said
    assert "sterna database upgrade" in said


@pytest.mark.parametrize(
    ("way", "name", "value", "words"),
    [
        ("service", "database_url", f"mysql://me:{PASSWORD}@db/x", "'mysql', which is no database that is known"),
        ("worker", "database_url", f"mysql://me:{PASSWORD}@db/x", "'mysql', which is no database that is known"),
        ("serve", "broker_url", f"smoke://me:{PASSWORD}@signal", "'smoke' is no broker that is known"),
        ("service", "storage_url", "foo://bucket/x", "it is no address of a storage"),
        ("worker", "storage_url", "foo://bucket/x", "it is no address of a storage"),
        ("service", "lease_s", PASSWORD, "Input should be a valid number"),
        ("worker", "lease_s", PASSWORD, "Input should be a valid number"),
        ("service", "webhook_allowed_networks", PASSWORD, "Input should be a JSON array"),
    ],
)
def test_processes_end_with_one_message_and_a_code_of_their_own(tmp_path, way, name, value, words):
    said = start(way, tmp_path / "data", **{name: value})
    assert f"error[SETTING_UNUSABLE]: STERNA_{name.upper()}: " in said
    assert words in said
    assert PASSWORD not in said


@pytest.mark.skipif(not can_mount(), reason="only root may mount a small file system")
@pytest.mark.parametrize("way", WAYS)
def test_a_disk_without_room(tmp_path, way):
    with small_disk(tmp_path / "disk") as disk, filled(disk):
        said = start(way, disk / "data")
    assert "STERNA_DATA_DIR" in said
    assert "No space left on device" in said or "disk is full" in said


@pytest.mark.skipif(not can_mount(), reason="only root may mount a file system that cannot be written")
@pytest.mark.parametrize("way", WAYS)
def test_a_disk_that_cannot_be_written(tmp_path, way):
    with small_disk(tmp_path / "disk") as disk:
        subprocess.run(["/bin/mount", "-o", "remount,ro", str(disk)], check=True)
        said = start(way, disk / "data")
    assert f"error[SETTING_UNUSABLE]: STERNA_DATA_DIR: {disk / 'data'} cannot be written: Read-only file system" in said
