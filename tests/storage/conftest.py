from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api_schemas import Job, JobMessage, JobSpec, Result, UploadRequest
from storage import Lease, Ledger
from storage.schema import LOCAL

MODEL = UploadRequest(filename="model.pt2", bytes=7, sha256="ab" * 32)


class Desk:
    """A ledger on a real file, and short ways to say what tests do with it."""

    def __init__(self, url: str) -> None:
        self.ledger = Ledger.open(url)

    def spec(self, *, tenant: str = LOCAL, **fields) -> JobSpec:
        """A spec with an upload of the tenant's own; its content is in no blob store."""
        model = self.ledger.create_upload(MODEL, part_bytes=10, complete=True, tenant=tenant)
        return JobSpec(model=model.id, target_sparsity=0.5, **fields)

    def submit(self, *, tenant: str = LOCAL, **fields) -> Job:
        return self.ledger.submit(self.spec(tenant=tenant, **fields), tenant=tenant)

    def claim(self, job: Job, *, worker_id: str = "w1", lease_s: float = 60) -> Lease | None:
        return self.ledger.claim(self.message(job), worker_id=worker_id, lease_s=lease_s)

    def message(self, job: Job, *, tenant: str = LOCAL) -> JobMessage:
        return JobMessage(job_id=job.id, attempt=self.ledger.job(job.id, tenant=tenant).attempt)

    def states(self, job: Job) -> list[str]:
        """The states that the events tell, oldest first."""
        events = self.ledger.events(job.id, limit=10_000).events
        return [event.body.state for event in events if event.body.kind == "state"]


@pytest.fixture
def url(tmp_path: Path) -> str:
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
