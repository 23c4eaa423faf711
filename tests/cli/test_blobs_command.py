import hashlib
import json

import pytest
from typer.testing import CliRunner

from api_schemas import JobSpec, UploadRequest
from sterna.cli.main import app
from sterna.errors import ContentMissing, InvalidSpec
from storage import BlobStore, Ledger, Settings

CONTENT = b"a model"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    """An installation with one job."""
    monkeypatch.setenv("STERNA_DATA_DIR", str(tmp_path / "data"))
    settings = Settings().prepared()
    (tmp_path / "model").write_bytes(CONTENT)
    BlobStore.open(settings.storage_url).put_file(tmp_path / "model")
    ledger = Ledger.open(settings.database_url)
    request = UploadRequest(filename="model", bytes=len(CONTENT), sha256=SHA256)
    upload = ledger.create_upload(request, part_bytes=10, complete=True)
    ledger.submit(JobSpec(model=upload.id, target_sparsity=0.5))
    ledger.close()
    return settings


def blobs(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["blobs", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_copy_there_and_back_makes_a_lost_store_whole(settings, tmp_path):
    assert json.loads(blobs("check", "--json")) == {"referenced": 1, "missing": []}
    backup = (tmp_path / "backup").as_uri()
    assert json.loads(blobs("copy", "--to", backup, "--json")) == {"copied": 1}
    assert json.loads(blobs("copy", "--to", backup, "--json")) == {"copied": 0}
    own = BlobStore.open(settings.storage_url)
    own.delete(SHA256)
    with pytest.raises(ContentMissing, match="1 of the 1") as missing:
        CliRunner().invoke(app, ["blobs", "check"], catch_exceptions=False)
    assert missing.value.exit_code == 8
    assert "sterna blobs copy" in missing.value.hint
    blobs("copy", "--from", backup)
    assert own.size(SHA256) == len(CONTENT)
    assert blobs("check") == ""


def test_what_is_missing_is_named(settings):
    BlobStore.open(settings.storage_url).delete(SHA256)
    done = CliRunner().invoke(app, ["blobs", "check"])
    assert isinstance(done.exception, ContentMissing)
    assert done.stdout == f"{SHA256}\n"


@pytest.mark.parametrize("arguments", [(), ("--to", "memory://", "--from", "memory://")])
@pytest.mark.usefixtures("settings")
def test_a_copy_has_one_direction(arguments):
    with pytest.raises(InvalidSpec, match="one of --to and --from"):
        CliRunner().invoke(app, ["blobs", "copy", *arguments], catch_exceptions=False)
