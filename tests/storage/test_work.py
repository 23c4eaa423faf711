from contextlib import suppress
from dataclasses import replace
from math import inf, nan

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from api_schemas import TERMINAL_STATES, ArtifactRef, JobErrorInfo, JobMessage, ProgressPoint
from api_schemas.events import Message, PhaseChange
from sterna.errors import Conflict
from storage.quotas import stored_bytes
from storage.schema import JOB_BLOBS, JOBS

OOPS = JobErrorInfo(code="OUT_OF_MEMORY", message="no room", hint="send less")


def test_progress_is_what_was_recorded_last(desk, ledger):
    job = desk.submit()
    lease = desk.claim(job)
    points = [ProgressPoint(step=s, steps=8, loss=1 / s, sparsity=0.1 * s, lambda_=2.0) for s in (1, 2)]
    assert ledger.record(lease, [PhaseChange(phase="search"), *points])
    now = ledger.job(job.id)
    assert (now.phase, now.progress.step, now.progress.steps, now.progress.fraction) == ("search", 2, 8, 0.25)
    assert now.latest.loss == 0.5
    assert now.latest.lambda_ == 2.0
    events = ledger.events(job.id).events
    assert [event.id for event in events] == [1, 2, 3, 4, 5]
    assert [event.body for event in events[2:]] == [PhaseChange(phase="search"), *points]
    assert ledger.record(lease, [])


def test_a_metric_stays_until_there_is_a_newer_one(desk, ledger):
    job = desk.submit()
    lease = desk.claim(job)

    def latest(*metrics):
        assert ledger.record(lease, [ProgressPoint(step=1, steps=2, loss=0.5, metric=metric) for metric in metrics])
        return ledger.job(job.id).latest.metric

    assert [latest(None), latest(0.75, None), latest(None), latest(0.5)] == [None, 0.75, 0.75, 0.5]


def test_figures_that_are_not_numbers_can_be_read_back(desk, ledger):
    job = desk.submit()
    lease = desk.claim(job)
    assert ledger.record(lease, [ProgressPoint(step=1, steps=2, loss=nan, alpha=inf), Message(code="X", text="\x00\n")])
    assert ledger.job(job.id).latest.loss is None
    assert ledger.events(job.id, after=3).events[0].body.text == "\x00\n"


def test_success_keeps_the_result(desk, ledger, result):
    job = desk.submit()
    assert ledger.succeed(desk.claim(job), result)
    now = ledger.job(job.id)
    assert (now.state, now.result, now.phase, now.progress.fraction) == ("succeeded", result, None, 1.0)
    assert now.created_at <= now.started_at <= now.finished_at


def test_a_result_that_nobody_could_read_back_is_refused(desk, ledger, result):
    lease = desk.claim(desk.submit())
    with pytest.raises(ValueError, match="bits_per_weight"):
        ledger.succeed(lease, result.model_copy(update={"bits_per_weight": nan}))
    assert ledger.renew(lease, lease_s=60) == "continue"


def test_failure_keeps_the_reason(desk, ledger):
    job = desk.submit()
    assert ledger.fail(desk.claim(job), OOPS)
    now = ledger.job(job.id)
    assert (now.state, now.error, now.result) == ("failed", OOPS, None)
    assert ledger.events(job.id).events[-1].body.error == OOPS


@pytest.mark.parametrize("next_worker", ["w1", "w2"])
def test_a_lost_lease_writes_nothing(desk, ledger, result, next_worker):
    job = desk.submit()
    old = desk.claim(job, lease_s=-1)
    assert ledger.reap(max_attempts=3) == 1
    new = desk.claim(job, worker_id=next_worker)
    assert new.attempt == 2
    assert ledger.renew(old, lease_s=60) is None
    assert not ledger.record(old, [PhaseChange(phase="pack")])
    assert not ledger.keep_log(old, "late words")
    assert not ledger.succeed(old, result)
    assert not ledger.fail(old, OOPS)
    assert not ledger.cancelled(old)
    assert not ledger.release(old)
    assert ledger.job(job.id).phase is None
    assert ledger.renew(new, lease_s=60) == "continue"


@pytest.mark.parametrize("untrue", [{"worker_id": "w2"}, {"attempt": 2}])
def test_a_lease_is_this_workers_and_this_attempts(desk, ledger, result, untrue):
    job = desk.submit()
    lease = replace(desk.claim(job), **untrue)
    before = desk.row(job)
    assert ledger.renew(lease, lease_s=600) is None
    assert not ledger.record(lease, [PhaseChange(phase="pack")])
    assert not ledger.keep_log(lease, "words")
    assert not ledger.keep_checkpoint(lease, FIRST, size_bytes=1, step=1)
    assert not ledger.succeed(lease, result)
    assert not ledger.fail(lease, OOPS)
    assert not ledger.cancelled(lease)
    assert not ledger.release(lease)
    assert desk.row(job) == before


def test_a_slow_worker_that_nobody_replaced_may_finish(desk, ledger, result):
    lease = desk.claim(desk.submit(), lease_s=-1)
    assert ledger.succeed(lease, result)
    assert ledger.reap(max_attempts=3) == 0


def test_renewal_keeps_the_reaper_away(desk, ledger):
    lease = desk.claim(desk.submit(), lease_s=-1)
    assert ledger.renew(lease, lease_s=60) == "continue"
    assert ledger.reap(max_attempts=3) == 0


def test_too_many_lost_attempts_fail_the_job_and_released_ones_do_not_count(desk, ledger):
    job = desk.submit()
    for _ in range(4):
        assert ledger.release(desk.claim(job))
    for left in (1, 0):
        desk.claim(job, lease_s=-1)
        assert ledger.reap(max_attempts=2) == 1
        assert ledger.job(job.id).state == ("queued" if left else "failed")
    now = ledger.job(job.id)
    assert (now.attempt, now.error.code) == (6, "ATTEMPTS_EXHAUSTED")
    assert ledger.events(job.id).events[-1].body.error == now.error


def test_a_cancel_decides_however_the_job_is_given_up(desk, ledger, result):
    endings = (
        lambda lease: ledger.succeed(lease, result),
        lambda lease: ledger.fail(lease, OOPS),
        ledger.cancelled,
        ledger.release,
        lambda lease: ledger.renew(lease, lease_s=-1) and ledger.reap(max_attempts=3),
    )
    for end in endings:
        job = desk.submit()
        lease = desk.claim(job)
        ledger.request(job.id, "cancel")
        assert end(lease)
        now = ledger.job(job.id)
        assert (now.state, now.result, now.error) == ("cancelled", None, None)
        assert now.finished_at is not None


@pytest.mark.parametrize("how", ["released", "reaped"])
def test_a_stop_is_dropped_with_the_attempt_that_could_have_kept_something(desk, ledger, how):
    job, bystander = desk.submit(), desk.submit()
    kept = desk.claim(bystander)
    lease = desk.claim(job, lease_s=-1)
    ledger.request(job.id, "stop")
    ledger.request(bystander.id, "stop")
    assert ledger.release(lease) if how == "released" else ledger.reap(max_attempts=3) == 1
    assert ledger.renew(desk.claim(job), lease_s=60) == "continue"
    assert ledger.renew(kept, lease_s=60) == "stop"
    bodies = [event.body for event in ledger.events(job.id).events]
    assert [body.kind for body in bodies] == ["state", "state", "message", "state", "state"]
    assert (bodies[2].code, "attempt 1 was lost" in bodies[2].text) == ("STOP_DROPPED", True)


def test_a_stop_of_a_job_that_fails_with_its_worker_is_not_spoken_of(desk, ledger):
    job = desk.submit()
    desk.claim(job, lease_s=-1)
    ledger.request(job.id, "stop")
    assert ledger.reap(max_attempts=1) == 1
    assert [event.body.kind for event in ledger.events(job.id).events] == ["state"] * 3


class Story:
    """What the ledger should say of one job: the rules of the module docstring, told once more in plain Python."""

    def __init__(self) -> None:
        self.state, self.attempt, self.lost, self.requested = "queued", 1, 0, None
        self.owner: tuple[str, int] | None = None

    def claim(self, worker: str, attempt: int) -> bool:
        if self.state != "queued" or attempt != self.attempt:
            return False
        self.state, self.owner = "running", (worker, attempt)
        return True

    def end(self, owner: tuple[str, int], state: str) -> bool:
        if self.state != "running" or self.owner != owner:
            return False
        self.state = "cancelled" if self.requested == "cancel" else state
        if self.state == "queued":
            self.attempt += 1
        self.owner = self.requested = None
        return True

    def reap(self) -> None:
        if self.state == "running":
            self.lost += 1
            self.end(self.owner, "failed" if self.lost >= 2 else "queued")

    def order(self, order: str) -> None:
        if self.state == "queued" and order == "cancel":
            self.state = "cancelled"
        elif self.state == "running":
            self.requested = "cancel" if "cancel" in {order, self.requested} else order


STEPS = st.sampled_from(["claim", "succeed", "fail", "cancelled", "release", "reap", "cancel", "stop", "old claim"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(STEPS, st.sampled_from(["a", "b"])), max_size=14))
def test_whatever_happens_a_job_ends_once(desk, result, steps):
    ledger, story, job, leases = desk.ledger, Story(), desk.submit(), {}
    ends = {
        "succeed": (lambda lease: ledger.succeed(lease, result), "succeeded"),
        "fail": (lambda lease: ledger.fail(lease, OOPS), "failed"),
        "cancelled": (ledger.cancelled, "cancelled"),
        "release": (ledger.release, "queued"),
    }
    for step, worker in [
        *steps,
        ("claim", "c"),
        ("reap", ""),
        ("claim", "d"),
        ("reap", ""),
        ("claim", "e"),
        ("fail", "e"),
    ]:
        if "claim" in step:
            attempt = story.attempt - (step == "old claim")
            lease = ledger.claim(JobMessage(job_id=job.id, attempt=attempt), worker_id=worker, lease_s=-1)
            assert (lease is not None) == story.claim(worker, attempt)
            leases[worker] = lease or leases.get(worker)
        elif step == "reap":
            ledger.reap(max_attempts=2)
            story.reap()
        elif step in ends and leases.get(worker):
            act, state = ends[step]
            lease = leases[worker]
            assert act(lease) == story.end((worker, lease.attempt), state)
        elif step in {"cancel", "stop"}:
            story.order(step)
            with suppress(Conflict):
                ledger.request(job.id, step)
        now = ledger.job(job.id)
        assert (now.state, now.attempt) == (story.state, story.attempt)
    told = desk.states(job)
    assert [state for state in told if state in TERMINAL_STATES] == [ledger.job(job.id).state]
    assert told[-1] in TERMINAL_STATES
    ids = [event.id for event in ledger.events(job.id).events]
    assert ids == list(range(1, len(ids) + 1))


FIRST, SECOND = "a" * 64, "b" * 64


def checkpoints(desk, job):
    """What the job holds on to, as the table says."""
    with desk.ledger.read() as connection:
        query = select(JOB_BLOBS.c.sha256, JOB_BLOBS.c.bytes).where(
            JOB_BLOBS.c.job_id == job.id, JOB_BLOBS.c.role == "checkpoint"
        )
        return [tuple(row) for row in connection.execute(query)]


def test_a_job_holds_on_to_its_newest_checkpoint_alone(desk, ledger):
    job = desk.submit()
    lease = desk.claim(job)
    assert ledger.checkpoint(lease) is None
    assert ledger.keep_checkpoint(lease, FIRST, size_bytes=10, step=40)
    assert ledger.keep_checkpoint(lease, SECOND, size_bytes=11, step=80)
    assert ledger.checkpoint(lease) == SECOND
    assert checkpoints(desk, job) == [(SECOND, 11)]


def test_a_worker_without_the_lease_keeps_no_checkpoint(desk, ledger):
    job = desk.submit()
    old = desk.claim(job, lease_s=-1)
    assert ledger.keep_checkpoint(old, FIRST, size_bytes=10, step=40)
    assert ledger.reap(max_attempts=3) == 1
    assert not ledger.keep_checkpoint(old, SECOND, size_bytes=10, step=80)
    new = desk.claim(job, worker_id="another")
    assert not ledger.keep_checkpoint(old, SECOND, size_bytes=10, step=80)
    assert ledger.checkpoint(new) == FIRST


@pytest.mark.parametrize("way", ["release", "reap"])
def test_the_next_attempt_goes_on_where_the_checkpoint_stands(desk, ledger, way):
    job = desk.submit()
    lease = desk.claim(job, lease_s=-1)
    ledger.record(lease, [ProgressPoint(step=50, steps=100)])
    ledger.keep_checkpoint(lease, FIRST, size_bytes=10, step=40)
    assert ledger.release(lease) if way == "release" else ledger.reap(max_attempts=3) == 1
    again = desk.claim(job)

    progress = ledger.job(job.id).progress
    assert (progress.step, progress.steps, progress.eta_s) == (40, 100, None)
    ledger.record(again, [ProgressPoint(step=40, steps=100)])
    assert ledger.job(job.id).progress.eta_s is None  # nothing was done in this attempt
    ledger.record(again, [ProgressPoint(step=41, steps=100)])
    with ledger.read() as connection:
        row = connection.execute(select(JOBS).where(JOBS.c.id == job.id)).one()
    elapsed_s = (row.progress_us - row.claimed_us) / 1e6
    assert ledger.job(job.id).progress.eta_s == pytest.approx(elapsed_s * 59, abs=0.001)


def test_a_job_without_a_checkpoint_begins_at_nothing(desk, ledger):
    job = desk.submit()
    lease = desk.claim(job)
    ledger.record(lease, [ProgressPoint(step=50, steps=100)])
    ledger.release(lease)
    desk.claim(job)
    progress = ledger.job(job.id).progress
    assert (progress.step, progress.steps) == (0, None)


@pytest.mark.parametrize("end", ["succeed", "fail", "cancelled", "cancel asked", "cancel while queued", "exhausted"])
def test_a_job_that_ends_lets_its_checkpoint_go(desk, ledger, result, end):
    job = desk.submit()
    lease = desk.claim(job, lease_s=-1)
    ledger.keep_checkpoint(lease, FIRST, size_bytes=10, step=40)
    if end == "succeed":
        ledger.succeed(lease, result)
    elif end == "fail":
        ledger.fail(lease, OOPS)
    elif end == "cancelled":
        ledger.cancelled(lease)
    elif end == "cancel asked":
        ledger.request(job.id, "cancel")
        ledger.release(lease)
    elif end == "cancel while queued":
        ledger.release(lease)
        ledger.request(job.id, "cancel")
    else:
        ledger.reap(max_attempts=1)

    assert ledger.job(job.id).state in TERMINAL_STATES
    assert checkpoints(desk, job) == []
    if end != "succeed":
        ledger.retry(job.id)
        again = desk.claim(job)
        assert (ledger.checkpoint(again), ledger.job(job.id).progress.step) == (None, 0)


def test_a_checkpoint_is_no_part_of_what_a_tenant_stores(desk, ledger):
    job = desk.submit()
    lease = desk.claim(job)
    with ledger.write() as connection:
        before = stored_bytes(connection, "local")
    ledger.keep_checkpoint(lease, FIRST, size_bytes=10**12, step=40)
    with ledger.write() as connection:
        assert stored_bytes(connection, "local") == before


def test_only_an_attempt_that_a_worker_has_is_running(desk, ledger):
    job, other = desk.submit(), desk.submit()
    assert not ledger.is_running(job.id, attempt=1)
    desk.claim(job)
    assert ledger.is_running(job.id, attempt=1)
    assert not ledger.is_running(job.id, attempt=2)
    assert not ledger.is_running(other.id, attempt=1)


def test_each_attempt_of_each_job_has_a_log_of_its_own(desk, ledger):
    job, other = desk.submit(), desk.submit()
    first, foreign = desk.claim(job), desk.claim(other)
    for words in ("first", "first, longer"):
        assert ledger.keep_log(first, words)
    assert ledger.keep_log(foreign, "foreign")
    ledger.release(first)
    assert ledger.keep_log(desk.claim(job), "second")
    assert [ledger.log(job.id, attempt=attempt) for attempt in (1, 2)] == [(1, "first, longer"), (2, "second")]
    assert ledger.log(other.id) == (1, "foreign")


def test_a_worker_is_given_what_its_own_job_works_on(desk, ledger):
    jobs = [desk.submit() for _ in range(2)]
    leases = [desk.claim(job) for job in jobs]
    assert ledger.keep_checkpoint(leases[0], FIRST, size_bytes=1, step=1)
    with ledger.write() as connection:
        connection.execute(update(JOB_BLOBS).where(JOB_BLOBS.c.job_id == jobs[1].id).values(sha256=SECOND))
    assert ledger.inputs(leases[0]) == {"model": "ab" * 32}
    assert ledger.inputs(leases[1]) == {"model": SECOND}


def test_a_job_that_was_cancelled_holds_no_artifact(desk, ledger, result):
    job = desk.submit()
    lease = desk.claim(job)
    artifact = ArtifactRef(name="model.sterna", sha256=FIRST, bytes=1, media_type="application/octet-stream")
    ledger.request(job.id, "cancel")
    assert ledger.succeed(lease, result.model_copy(update={"artifacts": (artifact,)}))
    with ledger.read() as connection:
        roles = connection.execute(select(JOB_BLOBS.c.role).where(JOB_BLOBS.c.job_id == job.id)).scalars().all()
    assert roles == ["model"]


@pytest.mark.parametrize("how", ["released", "reaped"])
def test_of_a_job_that_nobody_asked_to_stop_no_stop_is_dropped(desk, ledger, how):
    job = desk.submit()
    lease = desk.claim(job, lease_s=-1)
    assert ledger.release(lease) if how == "released" else ledger.reap(max_attempts=3) == 1
    assert [event.body.kind for event in ledger.events(job.id).events] == ["state"] * 3
