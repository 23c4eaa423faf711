from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, select

from api_schemas import Job, JobMessage, JobSpec, Result, UploadRequest
from storage import Lease, Ledger
from storage.schema import JOBS, LOCAL

MODEL = UploadRequest(filename="model.pt2", bytes=7, sha256="ab" * 32)


class Desk:
    """A ledger on a real database, and short ways to say what tests do with it."""

    def __init__(self, url: str) -> None:
        self.ledger = Ledger.open(url)

    def spec(self, *, tenant: str = LOCAL, **fields) -> JobSpec:
        """A spec with an upload of the tenant's own; its content is in no blob store."""
        model = self.ledger.create_upload(MODEL, part_bytes=10, complete=True, tenant=tenant)
        return JobSpec(model=model.id, target_sparsity=0.5, **fields)

    def submit(self, *, tenant: str = LOCAL, **fields) -> Job:
        time.sleep(0.001)  # SQLite counts in milliseconds: jobs of the same one have no order
        return self.ledger.submit(self.spec(tenant=tenant, **fields), tenant=tenant)

    def claim(self, job: Job, *, worker_id: str = "w1", lease_s: float = 60) -> Lease | None:
        return self.ledger.claim(self.message(job), worker_id=worker_id, lease_s=lease_s)

    def message(self, job: Job, *, tenant: str = LOCAL) -> JobMessage:
        return JobMessage(job_id=job.id, attempt=self.ledger.job(job.id, tenant=tenant).attempt)

    def row(self, job: Job) -> Row[Any]:
        """The job as it stands in the database."""
        with self.ledger.read() as connection:
            return connection.execute(select(JOBS).where(JOBS.c.id == job.id)).one()

    def states(self, job: Job) -> list[str]:
        """The states that the events tell, oldest first."""
        events = self.ledger.events(job.id, limit=10_000).events
        return [event.body.state for event in events if event.body.kind == "state"]


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Makes the addresses of empty databases, in turn on each kind that there is."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            yield lambda: f"sqlite:///{tmp_path}/{uuid.uuid4().hex}.db"
        else:
            server = request.getfixturevalue("postgres")
            yield lambda: stack.enter_context(server.database())


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path: Path) -> str:
    """The address of a ledger, in turn on each kind of database that there is."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture
def desk(url: str) -> Iterator[Desk]:
    desk = Desk(url)
    yield desk
    desk.ledger.close()


@pytest.fixture
def ledger(desk: Desk) -> Ledger:
    return desk.ledger


@pytest.fixture
def result() -> Result:
    return Result(
        target_sparsity=0.5,
        sparsity=0.5,
        alpha=0.1,
        target_met=True,
        metric=None,
        bits_per_weight=1.6,
        entropy_bits_per_weight=1.5,
        model_bytes=100,
        artifact_bytes=10,
        ratio=10,
        steps=4,
        seconds=1,
    )


@pytest.fixture(scope="session")
def open_desk() -> Callable[[str], Desk]:
    return Desk
