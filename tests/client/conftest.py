from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass

import httpx
import pytest

from api_schemas import ArtifactRef, JobMessage, Result
from sterna.client import Client
from storage import BlobStore, Ledger, Settings
from tests.servers.real_server import free_port


@dataclass
class Server:
    """The real service in a process of its own, which tests may kill; they play the worker themselves."""

    folder: object
    port: int
    process: subprocess.Popen | None = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        with (self.folder / "service.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "service", "--port", str(self.port), "--data-dir", str(self.folder / "data")],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"STERNA_PART_BYTES": "1000"},
            )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/livez").is_success:
                    return
            time.sleep(0.05)
        raise AssertionError((self.folder / "service.log").read_text())

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __post_init__(self):
        settings = Settings(data_dir=self.folder / "data").prepared()
        self.ledger = Ledger.open(settings.database_url)
        self.blobs = BlobStore.open(settings.storage_url)

    def claim(self, job_id):
        message = JobMessage(job_id=job_id, attempt=self.ledger.job(job_id).attempt)
        return self.ledger.claim(message, worker_id="tester", lease_s=60)

    def finish(self, lease, content: bytes):
        path = self.folder / "artifact"
        path.write_bytes(content)
        sha256, size_bytes = self.blobs.put_file(path)
        media_type = "application/octet-stream"
        artifact = ArtifactRef(name="model.sterna", sha256=sha256, bytes=size_bytes, media_type=media_type)
        figures = dict.fromkeys(Result.model_fields, 1) | {"metric": None, "warnings": (), "layers": (), "trials": ()}
        assert self.ledger.succeed(lease, Result(**(figures | {"artifacts": (artifact,)})))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("service"), free_port())
    server.start()
    yield server
    server.kill()
    server.ledger.close()


@pytest.fixture
def client(server):
    with Client(server.url) as client:
        yield client


@pytest.fixture
def sha256():
    return lambda content: hashlib.sha256(content).hexdigest()
