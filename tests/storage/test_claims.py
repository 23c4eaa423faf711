"""One worker gets a job; the outbox announces what waits, and messages that start nothing are announced again."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from api_schemas import JobMessage


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
    # 600 s × patience 2 are still ahead for those two, 600 s × 1 for nobody once they are 600 s old.
    with ledger.write() as connection:
        connection.exec_driver_sql("UPDATE jobs SET sent_us = sent_us - 700000000")
    assert [m.job_id for m in ledger.due(older_than_s=600, limit=9)] == [job.id for job in jobs[2:]]


def test_only_one_dispatcher_sends_a_message(desk, ledger):
    jobs = {desk.submit().id for _ in range(20)}
    with ledger.write() as connection:
        connection.exec_driver_sql("UPDATE jobs SET sent_us = NULL")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ledger.due(older_than_s=60, limit=20), range(4)))
    sent = [message.job_id for answer in answers for message in answer]
    assert len(sent) == len(jobs)
    assert set(sent) == jobs


def test_doubt_is_of_the_oldest_that_wait(desk, ledger):
    running, first, _ = [desk.submit() for _ in range(3)]
    desk.claim(running)
    before = desk.row(running)
    ledger.doubt(limit=1)
    assert ledger.due(older_than_s=600, limit=9) == (JobMessage(job_id=first.id, attempt=1),)
    assert desk.row(running) == before


def test_what_was_not_heard_is_due_where_it_still_waits(desk, ledger):
    waits, again, running, bystander = [desk.submit() for _ in range(4)]
    ledger.release(desk.claim(again))
    ledger.due(older_than_s=600, limit=9)
    desk.claim(running)
    before = [desk.row(job) for job in (again, running, bystander)]
    ledger.unheard([JobMessage(job_id=job.id, attempt=1) for job in (waits, again, running)])
    assert [desk.row(job) for job in (again, running, bystander)] == before
    assert ledger.due(older_than_s=600, limit=9) == (JobMessage(job_id=waits.id, attempt=1),)


def test_a_message_that_starts_nothing_changes_nothing_of_a_job_that_runs(desk, ledger):
    running = desk.submit()
    message = desk.message(running)
    desk.claim(running)
    before = desk.row(running)
    assert ledger.claim_next(message, worker_id="w2", lease_s=60) is None
    assert ledger.claim(message, worker_id="w2", lease_s=60) is None
    assert desk.row(running) == before


def test_a_message_that_starts_nothing_counts_as_unsent_and_no_other_does(desk, ledger):
    running, named, _ = [desk.submit() for _ in range(3)]
    desk.claim(running)
    assert ledger.claim_next(desk.message(named), worker_id="w2", lease_s=60, most_running=1) is None
    assert ledger.due(older_than_s=600, limit=9) == (JobMessage(job_id=named.id, attempt=1),)


def test_messages_that_start_nothing_make_one_job_each_due_again(desk, ledger):
    running, *waiting = [desk.submit() for _ in range(3)]
    message = desk.message(running)
    desk.claim(running)
    for _ in waiting:
        assert ledger.claim_next(message, worker_id="w2", lease_s=60, most_running=1) is None
    assert [one.job_id for one in ledger.due(older_than_s=600, limit=9)] == [job.id for job in waiting]
