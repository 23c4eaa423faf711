from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
import uvicorn

from api_schemas import ArtifactRef, Job, JobMessage, JobSpec, Metric, Result, UploadRequest
from api_schemas.jobs import TrialReport
from service.app import create_app
from service.backends import Backends
from storage import Lease, Settings

ARTIFACT = bytes(range(256)) * 5000
PART_BYTES = 70_000


class Service:
    """A real server on a real port, a client of it, and the backends behind it to play the worker with."""

    def __init__(self, address: str, backends: Backends, folder: Path) -> None:
        self.http = httpx.Client(base_url=address, timeout=30)
        self.backends = backends
        self.ledger = backends.ledger
        self.folder = folder

    def blob(self, content: bytes) -> str:
        self.ledger.pin(hashlib.sha256(content).hexdigest())
        path = self.folder / "content"
        path.write_bytes(content)
        return self.backends.blobs.put_file(path)[0]

    def upload(self, content: bytes) -> str:
        """The id of a complete upload."""
        wanted = UploadRequest(filename="f", bytes=len(content), sha256=self.blob(content))
        return self.ledger.create_upload(wanted, part_bytes=PART_BYTES, complete=True).id

    def queued(self, **fields) -> Job:
        """A job that nobody checked."""
        return self.ledger.submit(JobSpec(model=self.upload(b"no model"), target_sparsity=0.5, **fields))

    def claim(self, job: Job) -> Lease:
        message = JobMessage(job_id=job.id, attempt=self.ledger.job(job.id).attempt)
        lease = self.ledger.claim(message, worker_id="tester", lease_s=60)
        assert lease is not None
        return lease

    def finish(
        self,
        lease: Lease,
        *,
        name: str = "model.sterna",
        content: bytes = ARTIFACT,
        metric: Metric | None = None,
        trials: tuple[TrialReport, ...] = (),
    ) -> ArtifactRef:
        """What a worker does at the end of a job."""
        media_type = "application/octet-stream"
        sha256 = self.blob(content)
        artifact = ArtifactRef(name=name, sha256=sha256, bytes=len(content), media_type=media_type)
        result = Result(
            target_sparsity=0.5,
            sparsity=0.5,
            alpha=0.1,
            target_met=True,
            metric=metric,
            bits_per_weight=1.6,
            entropy_bits_per_weight=1.5,
            model_bytes=100,
            artifact_bytes=10,
            ratio=10,
            steps=4,
            seconds=1,
            trials=trials,
            artifacts=(artifact,),
        )
        assert self.ledger.succeed(lease, result)
        return artifact

    def finished(self) -> tuple[Job, ArtifactRef]:
        job = self.queued()
        return job, self.finish(self.claim(job))


@dataclass(frozen=True)
class Files:
    """A model file and its data file."""

    model: Path
    data: Path


@contextmanager
def served(folder: Path, **settings) -> Iterator[Service]:
    app = create_app(Settings(data_dir=folder / "data", part_bytes=PART_BYTES, **settings))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", ws="none", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    service = Service(f"http://127.0.0.1:{port}", app.state.backends, folder)
    try:
        yield service
    finally:
        service.http.close()
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def serving() -> Callable[..., AbstractContextManager[Service]]:
    """Makes a server for whoever needs one for longer than a test."""
    return served


@pytest.fixture(scope="session")
def shared(tmp_path_factory) -> Iterator[Service]:
    with served(tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture
def service(shared) -> Service:
    """The server that all tests of this folder share."""
    return shared


@pytest.fixture
def serve(tmp_path) -> Callable[..., Service]:
    """A server of one's own, with settings of one's own."""
    return lambda **settings: served(tmp_path, **settings)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Files:
    """A network that nobody trained, exported by stock torch: all that is checked before training can be seen on it."""
    folder = tmp_path_factory.mktemp("tiny")
    files = Files(folder / "m.pt2", folder / "d.npz")
    layers = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    batch = {0: torch.export.Dim("batch")}
    torch.export.save(torch.export.export(layers, (torch.zeros(4, 6),), dynamic_shapes=(batch,)), files.model)
    np.savez(files.data, input=np.zeros((4, 6), np.float32), target=np.zeros(4, np.int64))
    return files


@pytest.fixture
def artifact_content() -> bytes:
    return ARTIFACT


@pytest.fixture(scope="session")
def sha256_of() -> Callable[[bytes], str]:
    return lambda content: hashlib.sha256(content).hexdigest()


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["code"] == code
    assert body["title"]
    assert body["detail"]
    assert body["hint"], f"{body['detail']}: nobody is told what to do"
    assert body["instance"] == answer.request.url.path
    return body


@pytest.fixture(scope="session")
def refused() -> Callable[[httpx.Response, int, str], dict]:
    """Checks that an answer is a whole problem, and returns its body."""
    return assert_problem
