"""What must hold when a storm is over, read from the ledger's tables and the blob store themselves."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import obstore
from sqlalchemy import Row, select

from storage import BlobStore, Ledger
from storage.schema import BLOBS, EVENTS, JOB_BLOBS, JOB_LABELS, JOBS, UPLOADS
from tests.chaos.workload import Submission

Told = tuple[int, int, dict[str, Any]]
"""An event: its number, its time in µs, its body."""
FINAL: Final = frozenset({"succeeded", "failed", "cancelled"})
KILLED_CODES: Final = frozenset({"RUNNER_CRASHED", "OUT_OF_MEMORY"})
"""How a job ends whose runner was killed with signal 9, which is also what the kernel does when memory is short."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The ledger as it stands.

    Attributes:
        events: of each job, oldest first.
        blobs: of each job.
    """

    jobs: tuple[Row[Any], ...]
    events: Mapping[str, Sequence[Told]]
    blobs: Mapping[str, Sequence[Row[Any]]]
    labels: Mapping[str, str]

    @classmethod
    def of(cls, ledger: Ledger) -> Evidence:
        """Everything, in one state of the database."""
        with ledger.read() as connection:
            jobs = tuple(connection.execute(select(JOBS)).all())
            events = connection.execute(select(EVENTS).order_by(EVENTS.c.job_id, EVENTS.c.id)).all()
            blobs = connection.execute(select(JOB_BLOBS)).all()
            labels = connection.execute(select(JOB_LABELS).where(JOB_LABELS.c.key == "n")).all()
        told: dict[str, list[Told]] = defaultdict(list)
        for event in events:
            told[event.job_id].append((event.id, event.at_us, json.loads(event.body)))
        held: dict[str, list[Row[Any]]] = defaultdict(list)
        for blob in blobs:
            held[blob.job_id].append(blob)
        return cls(jobs, told, held, {row.job_id: row.value for row in labels})

    def states(self, job_id: str) -> list[tuple[str, int]]:
        """State and attempt of each change."""
        bodies = [body for _, _, body in self.events[job_id]]
        return [(body["state"], body["attempt"]) for body in bodies if body["kind"] == "state"]


def collect_all(ledger: Ledger, blobs: BlobStore) -> int:
    """Do what upkeep does, without waiting for anything to grow old; nothing may be at work.

    Returns:
        How many blobs were removed.
    """
    for upload_id, parts in ledger.abandoned_uploads(older_than_s=0):
        blobs.drop_parts(upload_id, parts)
        ledger.forget_upload(upload_id)
    removed = 0
    while some := ledger.collect(blobs, grace_s=0):
        removed += some
    return removed


def violations(
    ledger: Ledger,
    blobs: BlobStore,
    submissions: Sequence[Submission],
    *,
    expected: Mapping[str, str],
    killed_runners: Sequence[str] = (),
) -> list[str]:
    """Everything that is not as it must be, a sentence each; call it after `collect_all`.

    Args:
        ledger: where the jobs are.
        blobs: where their files are.
        submissions: all that was ever asked for.
        expected: the sha-256 of the artifact that each case has when nobody disturbs it.
        killed_runners: `JOB-ATTEMPT` of runners that were killed alone: their jobs may have failed.
    """
    evidence = Evidence.of(ledger)
    killed = frozenset(name.rpartition("-")[0] for name in killed_runners)
    found = [*_of_submissions(evidence, submissions)]
    asked = {one.job_id: one for one in submissions if one.job_id}
    for row in evidence.jobs:
        found += [f"{row.id}: {what}" for what in _of_state(row, evidence)]
        found += [f"{row.id}: {what}" for what in _of_events(row, evidence.events[row.id])]
        one = asked.get(row.id)
        if one is not None:
            found += [f"{row.id} ({one.case} {one.wish}): {what}" for what in _of_end(row, one, killed)]
        found += [f"{row.id}: {what}" for what in _of_artifact(row, one, evidence.blobs[row.id], expected)]
    return [*found, *_of_store(ledger, blobs)]


def _of_submissions(evidence: Evidence, submissions: Sequence[Submission]) -> Iterator[str]:
    there = {row.id for row in evidence.jobs}
    accepted = {one.job_id for one in submissions if one.fate == "accepted"}
    yield from (f"{job_id}: was accepted and is gone" for job_id in sorted(accepted - there))
    known = {one.label: one for one in submissions}
    times = Counter(evidence.labels.get(job_id, "") for job_id in there)
    for label, count in times.items():
        if label not in known:
            yield f"{count} jobs that nobody submitted, label {label!r}"
        elif count > 1:
            yield f"submission {label} was made {count} jobs"


def _of_state(row: Row[Any], evidence: Evidence) -> Iterator[str]:
    if row.state not in FINAL:
        yield f"is {row.state}"
    if row.worker_id is not None or row.lease_until_us is not None:
        yield f"has a lease of {row.worker_id}"
    if row.requested is not None:
        yield f"still has the request {row.requested}"
    if row.finished_us is None:
        yield "has no time of its end"
    states = evidence.states(row.id)
    ends = [state for state, _ in states if state in FINAL]
    if ends != [row.state]:
        yield f"is {row.state}, its events end it as {ends}"
    elif states[-1][0] != row.state:
        yield "has changes of state after its end"


def _of_events(row: Row[Any], events: Sequence[Told]) -> Iterator[str]:
    numbers = [number for number, _, _ in events]
    if numbers != list(range(1, row.last_event + 1)):
        yield f"has events {numbers[:5]}…{numbers[-5:]}, its last is said to be {row.last_event}"
    running, attempt, step = False, 0, 0
    for number, _, body in events:
        if body["kind"] != "state":
            if not running and body.get("code") != "STOP_DROPPED":
                yield f"event {number} ({body['kind']}) was written while nobody had the lease"
            if body.get("step", step) < step:
                yield f"event {number}: step {body['step']} was told after step {step} of attempt {attempt}"
            step = body.get("step", step)
            continue
        state = body["state"]
        if state == "running":
            if running:
                yield f"event {number}: attempt {body['attempt']} was started while another ran"
            if body["attempt"] <= attempt:
                yield f"event {number}: attempt {body['attempt']} was started after attempt {attempt}"
            attempt, step = body["attempt"], 0
        running = state == "running"
    if attempt > row.attempt:
        yield f"is at attempt {row.attempt}, attempt {attempt} was started"


def _of_end(row: Row[Any], one: Submission, killed: frozenset[str]) -> Iterator[str]:
    """Whether it ended as those who asked for it were told."""
    if one.wish == "cancel" and one.granted and row.state != "cancelled":
        yield f"its cancel was granted and it is {row.state}"
    if row.state == "cancelled" and one.wish != "cancel":
        yield "was cancelled, which nobody had asked for"
    if row.state == "failed":
        code = json.loads(row.error)["code"]
        if row.id not in killed or code not in KILLED_CODES:
            yield f"failed: {row.error}"


def _of_artifact(
    row: Row[Any], one: Submission | None, held: Sequence[Row[Any]], expected: Mapping[str, str]
) -> Iterator[str]:
    artifacts = [blob for blob in held if blob.role == "artifact"]
    if row.state != "succeeded":
        if artifacts:
            yield f"is {row.state} and has {len(artifacts)} artifacts"
        return
    told = {artifact["name"]: artifact["sha256"] for artifact in json.loads(row.result)["artifacts"]}
    if told != {blob.name: blob.sha256 for blob in artifacts}:
        yield "its result names other artifacts than it holds"
    if len(artifacts) != 1:
        yield f"has {len(artifacts)} artifacts"
    elif one is not None and one.wish != "stop" and one.case in expected and artifacts[0].sha256 != expected[one.case]:
        yield f"its artifact is {artifacts[0].sha256}; undisturbed, {one.case} is {expected[one.case]}"


def _of_store(ledger: Ledger, blobs: BlobStore) -> Iterator[str]:
    """Whether the store holds what is referred to, all of it, right, and nothing else."""
    with ledger.read() as connection:
        held = connection.execute(select(JOB_BLOBS.c.sha256)).scalars().all()
        uploaded = connection.execute(select(UPLOADS.c.sha256).where(UPLOADS.c.complete)).scalars().all()
        pinned = set(connection.execute(select(BLOBS.c.sha256)).scalars())
    wanted = {*held, *uploaded}
    there = set(stored(blobs))
    yield from (f"blob {sha256} is referred to and not stored" for sha256 in sorted(wanted - there))
    yield from (f"blob {sha256} is stored and nothing refers to it" for sha256 in sorted(there - wanted))
    yield from (f"blob {sha256} is known and nothing refers to it" for sha256 in sorted(pinned - wanted))
    for sha256 in sorted(wanted & there):
        digest = hashlib.sha256(b"".join(blobs.stream(sha256))).hexdigest()
        if digest != sha256:
            yield f"blob {sha256} has the bytes of {digest}"


def stored(blobs: BlobStore) -> list[str]:
    """The digests that the store has content under; parts of uploads and half of anything count under their names."""
    pages = obstore.list(blobs._store)  # the store itself: BlobStore can only ask for what it knows
    return [entry["path"].rpartition("/")[2] for page in pages for entry in page]
