from pathlib import Path

import pytest

from sterna.errors import SettingUnusable
from storage import BlobStore, Ledger, Settings
from storage.settings import read_settings


def test_embedded_defaults_lie_under_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings().prepared()
    assert settings.data_dir == tmp_path / "data"
    assert settings.database_url == f"sqlite:///{tmp_path}/data/sterna.db"
    assert settings.storage_url == f"file://{tmp_path}/data/blobs"
    assert settings.broker_url == "filesystem://"
    assert settings.scratch_folder.is_dir()


def test_the_environment_decides(monkeypatch):
    monkeypatch.setenv("STERNA_BROKER_URL", "redis://broker:6379/0")
    monkeypatch.setenv("STERNA_DATABASE_URL", "postgresql+psycopg://db/sterna")
    monkeypatch.setenv("STERNA_LEASE_S", "7.5")
    settings = Settings()
    assert settings.broker_url == "redis://broker:6379/0"
    assert settings.database_url == "postgresql+psycopg://db/sterna"
    assert settings.lease_s == 7.5
    assert settings.queue_options()["broker_transport_options"]["socket_keepalive"] is True


def test_senders_and_workers_share_one_message_folder(tmp_path):
    settings = Settings(data_dir=tmp_path).prepared()
    options = settings.queue_options()["broker_transport_options"]
    assert options["data_folder_in"] == options["data_folder_out"]
    assert Path(options["data_folder_in"]).is_dir()
    assert Path(options["control_folder"]).is_dir()


@pytest.mark.parametrize("name", ["a#b", "what?", "100%25", "two words", "ä"])
def test_a_folder_may_be_called_anything(tmp_path, name):
    settings = Settings(data_dir=tmp_path / name).prepared()
    Ledger.open(settings.database_url).close()
    (tmp_path / "file").write_bytes(b"content")
    BlobStore.open(settings.storage_url).put_file(tmp_path / "file")
    assert {entry.name for entry in tmp_path.iterdir()} == {"file", name}
    assert {"sterna.db", "blobs"} <= {entry.name for entry in (tmp_path / name).iterdir()}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("LEASE_S", "secret", "valid number"),
        ("MAX_ATTEMPTS", "0", "greater than or equal to 1"),
        ("WEBHOOK_ALLOWED_NETWORKS", "secret", "JSON array"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_and_not_repeated(monkeypatch, name, value, words):
    monkeypatch.setenv(f"STERNA_{name}", value)
    with pytest.raises(SettingUnusable, match=f"^STERNA_{name}: .*{words}") as refused:
        read_settings(Settings)
    assert "secret" not in f"{refused.value} {refused.value.hint}"


def test_what_is_given_goes_before_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("STERNA_DATA_DIR", "/elsewhere")
    assert read_settings(Settings, data_dir=tmp_path).data_dir == tmp_path
