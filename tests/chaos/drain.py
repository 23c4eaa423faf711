"""A long queue of jobs that do nothing, two workers, and how fast it is empty."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from api_schemas import JobSpec, UploadRequest
from storage.schema import JOBS
from tests.chaos.installation import Installation, Servers
from tests.chaos.invariants import Evidence

SLOTS = 8


@dataclass(frozen=True, slots=True)
class Drained:
    """How it went.

    Attributes:
        starts: how many jobs were started so many times.
        seconds: from the first claim to the last end.
        errors: of jobs that failed, each once.
    """

    jobs: int
    succeeded: int
    starts: dict[int, int]
    seconds: float
    errors: tuple[str, ...] = ()


def run_drain(servers: Servers, folder: Path, *, jobs: int, most_s: float) -> Drained:
    """Queue so many jobs, then start two workers of eight slots whose runner is a shell script."""
    # A lease that no busy machine lets run out: this is about speed and doubles, not about lost workers.
    calm = {"STERNA_RUNNERS": str(SLOTS), "STERNA_LEASE_S": "60", "STERNA_RESEND_AFTER_S": "30"}
    with Installation(servers, workers=0, **calm) as house:
        _queue(house, folder, jobs)
        for _ in range(2):
            house.workers.append(house.new_worker("--script", "0"))
        deadline = time.monotonic() + most_s
        while (left := _left(house)) > 0:
            assert time.monotonic() < deadline, f"{left} jobs are left after {most_s:g} s\n{house.logs()}"
            time.sleep(0.5)
        evidence = Evidence.of(house.ledger)
    starts = Counter(sum(state == "running" for state, _ in evidence.states(row.id)) for row in evidence.jobs)
    ended_us, began_us = max(row.finished_us for row in evidence.jobs), min(row.started_us for row in evidence.jobs)
    succeeded = sum(row.state == "succeeded" for row in evidence.jobs)
    errors = tuple(sorted({row.error for row in evidence.jobs if row.error is not None}))
    return Drained(len(evidence.jobs), succeeded, dict(starts), (ended_us - began_us) / 1e6, errors)


def _queue(house: Installation, folder: Path, jobs: int) -> None:
    model = folder / "model.pt2"
    model.write_bytes(b"no model")
    sha256, size_bytes = house.blobs.put_file(model)
    request = UploadRequest(filename=model.name, bytes=size_bytes, sha256=sha256)
    upload = house.ledger.create_upload(request, part_bytes=1000, complete=True)
    for _ in range(jobs):
        house.ledger.submit(JobSpec(model=upload.id, target_sparsity=0.5))


def _left(house: Installation) -> int:
    waiting = select(func.count()).select_from(JOBS).where(JOBS.c.state.in_(("queued", "running")))
    with house.ledger.read() as connection:
        return connection.execute(waiting).scalar_one()
