"""The audit finds what it is there to find: each thing that must not be is made by hand in a small ledger."""

from __future__ import annotations

import json

import obstore
import pytest
from sqlalchemy import delete, insert, update

from api_schemas import JobMessage, JobSpec, UploadRequest
from api_schemas.events import ProgressPoint
from api_schemas.jobs import ArtifactRef, JobErrorInfo, Result
from storage import BlobStore, Ledger
from storage.schema import BLOBS, EVENTS, JOB_BLOBS, JOBS, UPLOADS
from tests.chaos.invariants import collect_all, violations
from tests.chaos.workload import Submission

CASE = "short-0.5"
FIGURES = dict.fromkeys(
    ("target_sparsity", "sparsity", "alpha", "bits_per_weight", "entropy_bits_per_weight", "ratio", "seconds"), 0.5
) | dict.fromkeys(("model_bytes", "artifact_bytes", "steps"), 1)


class House:
    """An embedded ledger and store with one job that succeeded in its second attempt."""

    def __init__(self, folder):
        self.folder = folder
        self.ledger = Ledger.open(f"sqlite:///{folder}/sterna.db")
        self.blobs = BlobStore.open(f"file://{folder}/blobs")
        self.upload = self.put(b"a model")
        request = UploadRequest(filename="model.pt2", bytes=7, sha256=self.upload)
        self.model = self.ledger.create_upload(request, part_bytes=1000, complete=True).id
        self.artifact = self.put(b"an artifact")
        self.submissions = []
        self.job_id = self.submit("0001")
        self.claim()
        self.ledger.reap(max_attempts=9)
        lease = self.claim(attempt=2, lease_s=60)
        assert self.ledger.record(lease, [ProgressPoint(step=1, steps=2)])
        assert self.ledger.succeed(lease, self.result())

    def put(self, content):
        file = self.folder / "file"
        file.write_bytes(content)
        sha256, _ = self.blobs.put_file(file)
        self.ledger.pin(sha256)
        return sha256

    def submit(self, label, wish=""):
        spec = JobSpec(model=self.model, target_sparsity=0.5, labels={"n": label})
        job_id = self.ledger.submit(spec).id
        self.submissions.append(Submission(label, CASE, wish, "accepted", job_id))
        return job_id

    def claim(self, attempt=1, lease_s=-1.0, job_id=None):
        message = JobMessage(job_id=job_id or self.job_id, attempt=attempt)
        lease = self.ledger.claim(message, worker_id=f"host-{attempt}-0", lease_s=lease_s)
        assert lease is not None
        return lease

    def result(self):
        ref = ArtifactRef(name="model.sterna", sha256=self.artifact, bytes=11, media_type="application/x")
        return Result.model_validate(FIGURES | {"target_met": True, "metric": None, "artifacts": [ref]})

    def change(self, statement):
        with self.ledger.write() as connection:
            connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
            connection.execute(statement)

    def violations(self, *killed):
        expected = {CASE: self.artifact}
        return violations(self.ledger, self.blobs, self.submissions, expected=expected, killed_runners=killed)


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path)
    yield house
    house.ledger.close()


def test_a_ledger_as_it_should_be_is_left_alone(house):
    assert house.violations() == []


def event(house, number, **body):
    return insert(EVENTS).values(job_id=house.job_id, id=number, at_us=1, body=json.dumps(body))


# Of the job: 1 queued, 2 running, 3 queued, 4 running, 5 progress, 6 succeeded.
WRONG = {
    "is running": lambda _: [update(JOBS).values(state="running")],
    "has a lease of w": lambda _: [update(JOBS).values(worker_id="w")],
    "still has the request stop": lambda _: [update(JOBS).values(requested="stop")],
    "has no time of its end": lambda _: [update(JOBS).values(finished_us=None)],
    "its events end it as ['succeeded', 'succeeded']": lambda house: [
        event(house, 7, kind="state", state="succeeded", attempt=2), update(JOBS).values(last_event=7)
    ],
    "its events end it as []": lambda _: [
        delete(EVENTS).where(EVENTS.c.id == 6), update(JOBS).values(last_event=5)
    ],
    "has changes of state after its end": lambda house: [
        event(house, 7, kind="state", state="queued", attempt=3), update(JOBS).values(last_event=7)
    ],
    "its last is said to be 6": lambda _: [delete(EVENTS).where(EVENTS.c.id == 5)],
    "was written while nobody had the lease": lambda house: [
        event(house, 7, kind="progress", step=2, steps=2), update(JOBS).values(last_event=7)
    ],
    "event 6: step 0 was told after step 1 of attempt 2": lambda house: [
        delete(EVENTS).where(EVENTS.c.id == 6), event(house, 6, kind="progress", step=0, steps=2)
    ],
    "was started while another ran": lambda house: [
        delete(EVENTS).where(EVENTS.c.id == 3), event(house, 3, kind="state", state="running", attempt=2)
    ],
    "attempt 1 was started after attempt 1": lambda house: [
        delete(EVENTS).where(EVENTS.c.id == 4), event(house, 4, kind="state", state="running", attempt=1)
    ],
    "is at attempt 1, attempt 2 was started": lambda _: [update(JOBS).values(attempt=1)],
    "its result names other artifacts than it holds": lambda house: [
        update(JOB_BLOBS).where(JOB_BLOBS.c.role == "artifact").values(sha256=house.upload)
    ],
    "has 0 artifacts": lambda _: [delete(JOB_BLOBS).where(JOB_BLOBS.c.role == "artifact")],
    "has 2 artifacts": lambda house: [
        insert(JOB_BLOBS).values(job_id=house.job_id, role="artifact", name="b", sha256=house.upload, bytes=7)
    ],
    "is failed and has 1 artifacts": lambda _: [
        update(JOBS).values(state="failed", result=None, error='{"code": "RUNNER_CRASHED"}')
    ],
    "was cancelled, which nobody had asked for": lambda _: [update(JOBS).values(state="cancelled", result=None)],
    "is referred to and not stored": lambda _: [
        insert(UPLOADS).values(
            id="u", tenant="local", filename="f", bytes=1, sha256="0" * 64, part_bytes=1, complete=True, created_us=1
        )
    ],
    "is known and nothing refers to it": lambda _: [insert(BLOBS).values(sha256="0" * 64, pinned_us=1)],
}  # fmt: skip


@pytest.mark.parametrize("found", WRONG)
def test_what_is_wrong_with_a_row_is_found(house, found):
    for statement in WRONG[found](house):
        house.change(statement)
    assert any(found in sentence for sentence in house.violations()), house.violations()


def test_jobs_that_are_missing_doubled_or_nobodys_are_found(house):
    house.submissions.append(Submission("0002", CASE, "", "accepted", "job_gone"))
    house.submissions.append(Submission("0003", CASE))
    for label in ("0003", "0003", "0004"):
        house.submit(label)
        house.submissions.pop()
    found = "\n".join(house.violations())
    assert "job_gone: was accepted and is gone" in found
    assert "submission 0003 was made 2 jobs" in found
    assert "1 jobs that nobody submitted, label '0004'" in found


def test_a_granted_cancel_that_came_to_nothing_is_found(house):
    house.submissions[0].wish, house.submissions[0].granted = "cancel", True
    assert [sentence for sentence in house.violations() if "its cancel was granted and it is succeeded" in sentence]


def test_a_job_may_fail_only_where_its_runner_was_killed(house):
    job_id = house.submit("0002")
    lease = house.claim(job_id=job_id, lease_s=60)
    assert house.ledger.fail(lease, JobErrorInfo(code="RUNNER_CRASHED", message="signal 9", hint=""))
    assert [sentence for sentence in house.violations() if "failed" in sentence]
    assert house.violations(f"{job_id}-1") == []


def test_other_bytes_than_undisturbed_are_found_but_of_jobs_that_were_stopped(house):
    other = house.put(b"another artifact")
    expected = {CASE: other}
    house.ledger.collect(house.blobs, grace_s=0)
    found = violations(house.ledger, house.blobs, house.submissions, expected=expected)
    assert [sentence for sentence in found if f"undisturbed, {CASE} is {other}" in sentence]
    house.submissions[0].wish = "stop"
    assert violations(house.ledger, house.blobs, house.submissions, expected=expected) == []


def test_blobs_that_are_damaged_or_left_are_found_and_collection_removes_what_is_left(house):
    left = house.put(b"left behind")
    (house.folder / "blobs" / "blobs" / house.upload[:2] / house.upload).write_bytes(b"a mo")
    found = house.violations()
    assert f"blob {left} is stored and nothing refers to it" in found
    assert [sentence for sentence in found if sentence.startswith(f"blob {house.upload} has the bytes of")]
    assert collect_all(house.ledger, house.blobs) == 1
    assert not [sentence for sentence in house.violations() if left in sentence]


def test_what_the_ledger_never_knew_of_is_found_in_the_store(house):
    obstore.put(house.blobs._store, "blobs/00/half", b"half of something")
    assert "blob half is stored and nothing refers to it" in house.violations()
