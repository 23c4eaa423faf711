"""The storm from beginning to end: jobs are sent, everything is hurt, the dust settles, the ledger is audited."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from sqlalchemy import select

from sterna.client import Client
from storage.schema import JOBS
from tests.chaos.installation import Installation
from tests.chaos.invariants import FINAL, Evidence, collect_all, violations
from tests.chaos.storm import Orphaned, Storm, final_jobs
from tests.chaos.workload import Clients, Files, Record, Submission, plan, spec_of, write_files

QUEUE = 12
"""So many jobs may be on their way before the clients wait: submissions are spread over the whole storm."""
SETTLE_S = 600.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a storm did and what was left.

    Attributes:
        violations: what must not be; a sentence each.
        accepted: submissions that were answered.
        undisturbed: jobs before the storm, which tell what the others must give.
        outcomes: jobs by final state, and by the code of their error.
        attempts: how many jobs had so many attempts.
        granted: wishes that the service said yes to.
        took_over_s: for each job that a killed worker had: from the kill until it ran elsewhere.
        repeated: requests that clients had to send again, by the reason.
        unanswered: submissions that no patience of half a minute got an answer to.
        removed: blobs that nothing referred to.
    """

    seed: int
    violations: list[str]
    accepted: int
    undisturbed: int
    outcomes: Mapping[str, int]
    attempts: Mapping[int, int]
    granted: Mapping[str, int]
    disturbances: Mapping[str, int]
    took_over_s: list[float]
    repeated: Mapping[str, int]
    unanswered: int
    removed: int
    found_dead: Mapping[str, int]
    seconds: float


def run_storm(
    installation: Installation,
    folder: Path,
    *,
    seed: int,
    jobs: int,
    strikes: Sequence[str],
    least: int,
    pause_s: tuple[float, float],
) -> Outcome:
    """Send jobs to an installation, hurt it in these ways one after another, and audit what is left.

    Args:
        installation: which; its workers are killed at the end.
        folder: for the files that are sent.
        seed: decides the jobs, and whom and how long each disturbance hits.
        jobs: how many, besides one of each kind before the storm.
        strikes: names of `DISTURBANCES`, in order.
        least: after so many of them the storm is over as soon as every job was sent.
        pause_s: at least and at most so long between two.
    """
    files = write_files(folder)
    planned = plan(Random(f"jobs {seed}"), jobs)
    expected = undisturbed(installation, files, sorted({one.case for one in planned}))
    before = len(expected)
    record, began = Record(), time.monotonic()
    storm = Storm(installation, Random(f"storm {seed}"))

    def may_submit() -> bool:
        done = final_jobs(installation)
        return done is not None and len(record.accepted()) - (done - before) < QUEUE

    clients = Clients(installation.service.url, files, planned, record, may_submit, seed=seed)
    clients.start()
    for n, name in enumerate(strikes):
        if n >= least and clients.are_done():
            break
        storm.pause(*pause_s)
        _say(f"{time.monotonic() - began:6.1f} s  {name}  (ended: {final_jobs(installation)})")
        storm.strike(name)
    _say(f"{time.monotonic() - began:6.1f} s  calm")
    _until(clients.are_done, installation, "the clients are not done")
    _until(lambda: _all_final(installation), installation, "jobs are not final")
    seconds = time.monotonic() - began
    for worker in installation.workers:
        worker.kill_all()
    removed = collect_all(installation.ledger, installation.blobs)
    calm = [_calm(installation, case) for case in expected]
    found = violations(
        installation.ledger,
        installation.blobs,
        [*record.submissions, *calm],
        expected=expected,
        killed_runners=storm.diary.killed_runners,
    )
    evidence = Evidence.of(installation.ledger)
    return Outcome(
        seed=seed,
        violations=found,
        accepted=len(record.accepted()),
        undisturbed=len(calm),
        outcomes=_outcomes(evidence),
        attempts=Counter(row.attempt for row in evidence.jobs),
        granted=Counter(one.wish for one in record.submissions if one.granted),
        disturbances=Counter(storm.diary.done),
        took_over_s=took_over_s(evidence, storm.diary.orphaned),
        repeated=dict(record.repeated),
        unanswered=sum(one.fate == "unanswered" for one in record.submissions),
        removed=removed,
        found_dead=dict(installation.found_dead),
        seconds=seconds,
    )


def undisturbed(installation: Installation, files: Files, cases: list[str]) -> dict[str, str]:
    """The digest of each case's artifact when nobody disturbs the job."""
    with Client(installation.service.url) as client:
        jobs = {
            case: client.submit(files.model, files.data, spec_of(case), labels={"n": f"calm {case}"}) for case in cases
        }
        ended = {case: client.wait(job.id, timeout_s=SETTLE_S) for case, job in jobs.items()}
    assert all(job.state == "succeeded" for job in ended.values()), ended
    return {case: job.result.artifacts[0].sha256 for case, job in ended.items() if job.result is not None}


def _calm(installation: Installation, case: str) -> Submission:
    evidence = Evidence.of(installation.ledger)
    (job_id,) = [job_id for job_id, label in evidence.labels.items() if label == f"calm {case}"]
    return Submission(f"calm {case}", case, fate="accepted", job_id=job_id)


def _all_final(installation: Installation) -> bool:
    with installation.ledger.read() as connection:
        return connection.execute(select(JOBS.c.id).where(JOBS.c.state.not_in(FINAL)).limit(1)).one_or_none() is None


def _until(condition: Callable[[], bool], installation: Installation, complaint: str) -> None:
    deadline = time.monotonic() + SETTLE_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{complaint} {SETTLE_S:g} s after the storm\n{installation.logs()}")
        installation.tend()
        time.sleep(0.5)


def _outcomes(evidence: Evidence) -> Counter[str]:
    return Counter(
        row.state if row.error is None else f"{row.state}, {json.loads(row.error)['code']}" for row in evidence.jobs
    )


def took_over_s(evidence: Evidence, orphaned: Iterable[Orphaned]) -> list[float]:
    """For each job whose worker was killed and that ran again: the seconds between, shortest first."""
    found = []
    for one in orphaned:
        starts = [
            at_us
            for _, at_us, body in evidence.events[one.job_id]
            if body["kind"] == "state" and body["state"] == "running" and body["attempt"] > one.attempt
        ]
        if starts:
            found.append((starts[0] - one.killed_us) / 1e6)
    return sorted(found)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
