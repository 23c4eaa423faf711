"""One job at a time on two workers, of which the one that has it is killed: how soon it goes on, and from where."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from sqlalchemy import select

from sterna.client import Client
from storage.schema import JOBS
from tests.chaos.installation import CHECKPOINT_S, Installation
from tests.chaos.invariants import Evidence, Told
from tests.chaos.storm import Orphaned, jobs_of
from tests.chaos.storm_run import SETTLE_S, took_over_s, undisturbed
from tests.chaos.workload import LASTING, spec_of, write_files

CASE: Final = LASTING
_RESUMED: Final = re.compile(r"going on at step (\d+)")


@dataclass(frozen=True, slots=True)
class Failover:
    """One kill.

    Attributes:
        took_over_s: from the kill until another worker had the job.
        step: the newest that the ledger knew of at the kill.
        resumed_step: where the next attempt went on; 0: it began anew.
        repeated_s: how long before the kill the lost attempt had been there, at most.
        same: whether the artifact is that of the undisturbed job.
    """

    took_over_s: float
    step: int
    resumed_step: int
    repeated_s: float
    same: bool


def run_failovers(installation: Installation, folder: Path, *, rounds: int, seed: int) -> list[Failover]:
    """Kill the worker of a job in the middle of its training, so many times, with another worker idle.

    Args:
        installation: of two workers.
        folder: for the files that are sent.
        rounds: how many times.
        seed: decides at which moment between two checkpoints.
    """
    random = Random(seed)
    files = write_files(folder)
    (expected,) = undisturbed(installation, files, [CASE]).values()
    found = []
    with Client(installation.service.url) as client:
        for n in range(rounds):
            _wait_for_workers(client, 2)
            job = client.submit(files.model, files.data, spec_of(CASE), labels={"n": f"failover {n}"})
            orphaned = _kill_its_worker(installation, job.id, random.uniform(2, 3) * CHECKPOINT_S)
            ended = client.wait(job.id, timeout_s=SETTLE_S)
            assert ended.result is not None, ended.error
            same = ended.result.artifacts[0].sha256 == expected
            found.append(_measured(Evidence.of(installation.ledger), orphaned, same=same))
    return found


def _wait_for_workers(client: Client, count: int) -> None:
    deadline = time.monotonic() + SETTLE_S
    while sum(worker.alive for worker in client.workers()) < count:
        assert time.monotonic() < deadline, "the workers do not come"
        time.sleep(0.2)


def _kill_its_worker(installation: Installation, job_id: str, after_s: float) -> Orphaned:
    deadline = time.monotonic() + SETTLE_S
    query = select(JOBS.c.state, JOBS.c.step).where(JOBS.c.id == job_id)
    training_since = None
    while training_since is None or time.monotonic() < training_since + after_s:
        assert time.monotonic() < deadline, "the job does not train"
        with installation.ledger.read() as connection:
            row = connection.execute(query).one()
        assert row.state in {"queued", "running"}, f"the job is {row.state} before it could be disturbed"
        if training_since is None and row.step > 0:
            training_since = time.monotonic()
        time.sleep(0.05)
    for worker in tuple(installation.workers):
        for job in jobs_of(installation, worker):
            orphaned = Orphaned(job.id, job.attempt, job.step, worker.kill_all())
            installation.replace(worker)
            return orphaned
    raise AssertionError("no worker has the job")


def _measured(evidence: Evidence, orphaned: Orphaned, *, same: bool) -> Failover:
    (seconds,) = took_over_s(evidence, [orphaned])
    events = evidence.events[orphaned.job_id]
    resumed_step = max((step for _, _, body in events for step in _resumed(body)), default=0)
    return Failover(seconds, orphaned.step, resumed_step, _since(events, resumed_step, orphaned.killed_us), same)


def _since(events: Sequence[Told], step: int, until_us: int) -> float:
    """Seconds since the attempt that was killed had been at a step, between the two points next to it."""
    points = [(body["step"], at_us) for _, at_us, body in events if body["kind"] == "progress" and at_us <= until_us]
    before = max((point for point in points if point[0] <= step), default=points[0])
    after = min((point for point in points if point[0] > step), default=before)
    share = 0.0 if after[0] == before[0] else (step - before[0]) / (after[0] - before[0])
    return (until_us - before[1] - share * (after[1] - before[1])) / 1e6


def _resumed(body: dict[str, Any]) -> list[int]:
    match = _RESUMED.match(body.get("text", "")) if body.get("code") == "RESUMED" else None
    return [] if match is None else [int(match[1])]
