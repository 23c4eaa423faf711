"""Whose turn it is: fairness between tenants, the quota of running jobs, and that no queued job is forgotten."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api_schemas import JobMessage
from storage.schema import LOCAL

STRAY = JobMessage(job_id="job_" + "0" * 32, attempt=1)


@pytest.fixture
def turn(ledger):
    """A worker with a free slot hears a message; gives (tenant's label, lease) of what it starts."""

    def claim_next(heard=STRAY, **options):
        return ledger.claim_next(heard, worker_id="w", lease_s=60, **options)

    return claim_next


def submit(desk, tenant, count=1):
    return [desk.submit(tenant=tenant, labels={"of": tenant}) for _ in range(count)]


def of(lease):
    return lease.job.labels["of"]


def test_a_single_job_does_not_wait_for_the_five_hundred_of_another(desk, turn):
    submit(desk, "many", 500)
    first = turn()
    (alone,) = submit(desk, "one")
    assert of(first) == "many"
    assert turn().job.id == alone.id


def test_one_slot_serves_tenants_in_turn(desk, ledger, turn):
    """With one slot nobody has a job running when it is free, so it is who was served last that decides."""
    submit(desk, "many", 5)
    submit(desk, "few", 2)
    served = []
    for _ in range(7):
        lease = turn()
        served.append(of(lease))
        ledger.cancelled(lease)
    assert served[:4] in (["many", "few"] * 2, ["few", "many"] * 2)
    assert Counter(served) == {"many": 5, "few": 2}


def test_of_one_tenant_the_oldest_comes_first_and_a_job_that_was_given_back_keeps_its_place(desk, ledger, turn):
    jobs = submit(desk, "t", 3)
    first = turn()
    assert first.job.id == jobs[0].id
    ledger.release(first)
    again = turn()
    assert (again.job.id, again.attempt) == (jobs[0].id, 2)
    assert [turn().job.id, turn().job.id] == [jobs[1].id, jobs[2].id]
    assert turn() is None


def test_who_has_fewest_running_comes_first_even_if_served_last(desk, ledger, turn):
    submit(desk, "a", 4)
    submit(desk, "b", 4)
    leases = [turn(), turn()]
    assert {of(lease) for lease in leases} == {"a", "b"}
    last = leases[1]
    ledger.cancelled(last)
    assert of(turn()) == of(last)  # the other has one running still
    assert Counter(of(turn()) for _ in range(2)) == {"a": 1, "b": 1}


def test_any_message_starts_the_job_whose_turn_it_is_and_repeated_ones_start_nothing_twice(desk, turn):
    old, new = submit(desk, LOCAL, 2)
    lease = turn(desk.message(new))
    assert lease.job.id == old.id
    assert turn(desk.message(new)).job.id == new.id
    assert turn(desk.message(new)) is None
    assert turn(desk.message(old)) is None
    assert [desk.states(job) for job in (old, new)] == [["queued", "running"]] * 2


def test_no_more_of_a_tenant_run_than_may_and_the_slot_is_anothers(desk, ledger, turn):
    mine = submit(desk, "mine", 3)
    (other,) = submit(desk, "other")
    lease = turn(most_running=1)
    assert lease.job.id == mine[0].id
    assert turn(most_running=1).job.id == other.id
    assert turn(most_running=1) is None
    ledger.cancelled(lease)
    assert turn(most_running=1).job.id == mine[1].id


def test_a_message_that_found_nothing_to_start_is_sent_again_in_its_time(desk, ledger, turn):
    """The message of `other` starts a job of `mine`; that job's own message then stands for `other`."""
    (mine,) = submit(desk, "mine")
    first, second = submit(desk, "other", 2)
    ledger.due(older_than_s=60, limit=9)
    lease = turn(desk.message(first, tenant="other"), most_running=1)
    assert lease.job.id == mine.id
    running = turn(desk.message(second, tenant="other"), most_running=1)
    assert running.job.id == first.id
    assert turn(JobMessage(job_id=mine.id, attempt=1), most_running=1) is None  # the last message: `other` is full
    assert ledger.due(older_than_s=60, limit=9, most_running=1) == ()
    ledger.cancelled(running)
    assert ledger.due(older_than_s=60, limit=9, most_running=1) == (desk.message(second, tenant="other"),)


def test_a_job_that_counts_as_unsent_already_does_not_use_up_the_message_of_another(desk, ledger, turn):
    """The message of `late` starts `other`, whose own makes `early` due; then that of `early` stands for `late`."""
    runs, early, late = submit(desk, "full", 3)
    (other,) = submit(desk, "other")
    ledger.due(older_than_s=60, limit=9)
    lease = turn(desk.message(runs, tenant="full"), most_running=1)
    assert turn(desk.message(late, tenant="full"), most_running=1).job.id == other.id
    assert turn(JobMessage(job_id=other.id, attempt=1), most_running=1) is None
    assert turn(desk.message(early, tenant="full"), most_running=1) is None
    assert ledger.due(older_than_s=60, limit=9, most_running=1) == ()
    assert lease.job.id == runs.id
    ledger.cancelled(lease)
    due = ledger.due(older_than_s=60, limit=9, most_running=1)
    assert due == tuple(desk.message(job, tenant="full") for job in (early, late))


def test_a_job_that_is_started_unsent_leaves_the_message_to_the_one_it_was_for(desk, ledger, turn):
    old, new = submit(desk, LOCAL, 2)
    ledger.due(older_than_s=60, limit=9)
    ledger.unheard([desk.message(old)])
    assert turn(desk.message(new)).job.id == old.id
    assert ledger.due(older_than_s=60, limit=9) == (desk.message(new),)


def test_many_workers_at_once_start_each_job_once_and_never_too_many(desk, ledger):
    submit(desk, "a", 6)
    submit(desk, "b", 6)
    barrier = Barrier(8)

    def work(n):
        barrier.wait()
        claims = [ledger.claim_next(STRAY, worker_id=f"w{n}", lease_s=60, most_running=3) for _ in range(3)]
        return [lease for lease in claims if lease is not None]

    with ThreadPoolExecutor(8) as pool:
        leases = [lease for found in pool.map(work, range(8)) for lease in found]
    assert len({lease.job.id for lease in leases}) == len(leases) == 6
    assert Counter(map(of, leases)) == {"a": 3, "b": 3}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    jobs=st.lists(st.sampled_from("abc"), min_size=1, max_size=12),
    messages=st.randoms(use_true_random=False),
    most_running=st.sampled_from([None, 1, 2]),
)
def test_as_many_messages_as_jobs_start_them_all_in_whatever_order(
    open_desk, tmp_path_factory, jobs, messages, most_running
):
    """Every message once, in any order, what is due sent again after each end: no job is left over."""
    desk = open_desk(f"sqlite:///{tmp_path_factory.mktemp('any')}/ledger.db")
    ledger = desk.ledger
    waiting = [desk.message(job, tenant=tenant) for tenant in jobs for job in submit(desk, tenant)]
    running, done = [], 0
    while waiting:
        messages.shuffle(waiting)
        lease = ledger.claim_next(waiting.pop(), worker_id="w", lease_s=60, most_running=most_running)
        if lease is not None:
            running.append(lease)
        if running and (lease is None or messages.random() < 0.5):
            assert ledger.cancelled(running.pop(0))
            done += 1
        if not waiting:
            for left in running:
                assert ledger.cancelled(left)
                done += 1
            running = []
        waiting += ledger.due(older_than_s=3600, limit=99, most_running=most_running)
    assert done == len(jobs)
    ledger.close()
