from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from math import inf, nan
from threading import Barrier

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api_schemas import TERMINAL_STATES, JobErrorInfo, JobMessage, ProgressPoint
from api_schemas.events import Message, PhaseChange
from sterna.errors import Conflict

OOPS = JobErrorInfo(code="OUT_OF_MEMORY", message="no room", hint="send less")


def test_the_record_says_what_holds_the_newest_attempt(desk, ledger):
    job = desk.submit()
    assert job.sandbox is None
    first = ledger.claim(desk.message(job), worker_id="w", lease_s=60, sandbox="bubblewrap")
    assert (first.job.sandbox, ledger.job(job.id).sandbox) == ("bubblewrap", "bubblewrap")
    ledger.release(first)
    again = JobMessage(job_id=job.id, attempt=2)
    ledger.claim(again, worker_id="v", lease_s=60, sandbox="limits")
    assert ledger.job(job.id).sandbox == "limits"


def test_one_of_many_threads_gets_the_job(desk, ledger):
    for _ in range(5):
        job, barrier = desk.submit(), Barrier(8)

        def claim(i: int, job=job, barrier=barrier):
            barrier.wait()
            return desk.claim(job, worker_id=f"w{i}")

        with ThreadPoolExecutor(8) as pool:
            leases = [lease for lease in pool.map(claim, range(8)) if lease is not None]
        assert len(leases) == 1
        assert leases[0].job.state == "running"
        assert desk.states(job) == ["queued", "running"]
        assert ledger.renew(leases[0], lease_s=60) == "continue"


def test_old_and_made_up_messages_claim_nothing(desk, ledger):
    job = desk.submit()
    for message in (
        JobMessage(job_id=job.id, attempt=2),
        JobMessage(job_id=job.id, attempt=0),
        JobMessage(job_id="nobody", attempt=1),
    ):
        assert ledger.claim(message, worker_id="w", lease_s=60) is None
    first = desk.claim(job)
    assert first is not None
    assert ledger.release(first)
    assert ledger.claim(JobMessage(job_id=job.id, attempt=1), worker_id="w", lease_s=60) is None
    assert ledger.claim(JobMessage(job_id=job.id, attempt=2), worker_id="w", lease_s=60) is not None


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
    assert not ledger.succeed(old, result)
    assert not ledger.fail(old, OOPS)
    assert not ledger.cancelled(old)
    assert not ledger.release(old)
    assert ledger.job(job.id).phase is None
    assert ledger.renew(new, lease_s=60) == "continue"


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


def test_the_outbox_repeats_what_nobody_claimed(desk, ledger):
    job = desk.submit()
    assert ledger.due(older_than_s=60, limit=10) == ()
    assert ledger.due(older_than_s=0, limit=10) == (JobMessage(job_id=job.id, attempt=1),)
    desk.claim(job)
    assert ledger.due(older_than_s=0, limit=10) == ()


def test_a_job_that_was_given_back_is_due_at_once(desk, ledger):
    job = desk.submit()
    ledger.release(desk.claim(job))
    assert ledger.due(older_than_s=60, limit=10) == (JobMessage(job_id=job.id, attempt=2),)
    assert ledger.due(older_than_s=60, limit=10) == ()


def test_the_outbox_speaks_of_the_oldest_first_and_grows_patient(desk, ledger):
    jobs = [desk.submit() for _ in range(5)]
    assert [m.job_id for m in ledger.due(older_than_s=0, limit=2)] == [job.id for job in jobs[:2]]
    # 0.5 s × patience 2 is still ahead for those two, 0.5 s × 1 for nobody once they are 0.5 s old.
    with ledger.write() as connection:
        connection.exec_driver_sql("UPDATE jobs SET sent_us = sent_us - 600000")
    assert [m.job_id for m in ledger.due(older_than_s=0.5, limit=9)] == [job.id for job in jobs[2:]]


def test_only_one_dispatcher_sends_a_message(desk, ledger):
    jobs = {desk.submit().id for _ in range(20)}
    with ledger.write() as connection:
        connection.exec_driver_sql("UPDATE jobs SET sent_us = NULL")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ledger.due(older_than_s=60, limit=20), range(4)))
    sent = [message.job_id for answer in answers for message in answer]
    assert len(sent) == len(jobs)
    assert set(sent) == jobs


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
