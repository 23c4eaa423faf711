"""Transactions that overlap.

SQLite lets one write at a time. PostgreSQL's READ COMMITTED shows each statement the state of its own moment, so what a
transaction looked at may be gone when it writes.
"""

from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from threading import Barrier

import pytest
from sqlalchemy import event, update

from api_schemas import UploadRequest
from api_schemas.jobs import TrialReport
from api_schemas.sweeps import SweepSpec
from api_schemas.webhooks import WebhookRequest
from sterna.errors import Conflict, NotFound, QuotaExceeded
from storage.schema import JOBS, SWEEPS

MANY = 8


def at_once(work, arguments):
    """Does the work for each argument in a thread of its own, all from the same moment on."""
    arguments = list(arguments)
    barrier = Barrier(len(arguments))

    def one(argument):
        barrier.wait()
        return work(argument)

    with ThreadPoolExecutor(len(arguments)) as pool:
        return list(pool.map(one, arguments))


class Meanwhile:
    """Lets something else happen in the middle of a transaction, at the first statement that has these words."""

    def __init__(self, ledger, words, other, moment="after"):
        self.ledger, self.words, self.other = ledger, words, other
        self.moment = f"{moment}_cursor_execute"
        self.pool = ThreadPoolExecutor(1)
        self.began, self.seen = None, False

    def __enter__(self):
        event.listen(self.ledger._engine, self.moment, self)
        return self

    def __call__(self, _connection, _cursor, statement, *_):
        if not self.seen and self.words in statement:
            self.seen = True  # at once: the statements of the other come here as well
            self.began = self.pool.submit(self.other)
            with suppress(NotYet):  # it may wait for this transaction
                self.began.result(timeout=1)

    def __exit__(self, *_):
        event.remove(self.ledger._engine, self.moment, self)
        assert self.began is not None, f"no statement had {self.words!r}"
        self.began.result(timeout=60)
        self.pool.shutdown()


def test_claims_of_one_tenants_jobs_do_not_exceed_what_may_run(desk, ledger):
    for _ in range(3):
        messages = [desk.message(desk.submit()) for _ in range(MANY)]
        leases = at_once(lambda m: ledger.claim(m, worker_id="w", lease_s=60, most_running=2), messages)
        held = [lease for lease in leases if lease is not None]
        assert len(held) == 2
        for lease in held:
            ledger.cancelled(lease)


def test_first_submissions_of_a_tenant_do_not_exceed_what_may_wait(desk, ledger):
    specs = [desk.spec(tenant="new") for _ in range(MANY)]

    def submit(spec):
        try:
            ledger.submit(spec, tenant="new", most_queued=3)
        except QuotaExceeded:
            return 0
        return 1

    assert sum(at_once(submit, specs)) == 3


def test_of_many_reapers_one_takes_each_job_back(desk, ledger):
    jobs = [desk.submit() for _ in range(20)]
    for job in jobs:
        desk.claim(job, lease_s=-1)
    assert sum(at_once(lambda _: ledger.reap(max_attempts=3), range(MANY))) == len(jobs)
    assert {(now.state, now.attempt) for now in ledger.jobs().jobs} == {("queued", 2)}
    assert desk.states(jobs[0]) == ["queued", "running", "queued"]


def test_a_renewal_in_the_middle_of_a_reaping_keeps_the_job(desk, ledger):
    other = type(ledger).open(ledger._engine.url.render_as_string(hide_password=False))
    lease = desk.claim(desk.submit(), lease_s=-1)
    with other.write() as connection:
        # What a renewal does, not yet committed while the reaper looks.
        connection.exec_driver_sql("UPDATE jobs SET lease_until_us = lease_until_us + 3600000000")
        with ThreadPoolExecutor(1) as pool:
            reaped = pool.submit(ledger.reap, max_attempts=3)
            with pytest.raises(NotYet):
                reaped.result(timeout=0.5)
            connection.commit()
            assert reaped.result(timeout=60) == 0
    assert ledger.renew(lease, lease_s=60) == "continue"
    other.close()


def test_of_many_planners_one_makes_each_round(desk, ledger, result):
    model = desk.spec().model
    sweeps = 4
    for _ in range(sweeps):
        spec = SweepSpec(model=model, targets=(0.5,), search={"strategy": "trials"}, side_by_side=2, tolerance=0.0)
        ledger.create_sweep(spec)
    for _ in range(2):  # of whoever plans a round twice, the second finds nothing learnt and ends the rounds
        queued = [job for job in ledger.jobs().jobs if job.state == "queued"]
        for job in queued:
            trials = (TrialReport(alpha=job.spec.search.alpha, sparsity=0.3),)
            assert ledger.succeed(desk.claim(job), result.model_copy(update={"trials": trials}))
        planned = at_once(lambda _: ledger.plan_rounds(most_queued=100), range(MANY))
        made = [message.job_id for groups in planned for group in groups for message in group]
        assert len(made) == len(set(made)) == 2 * sweeps
        assert sorted(made) == sorted(job.id for job in ledger.jobs().jobs if job.state == "queued")


def trial_ended(desk, ledger, result):
    """A sweep whose first round has ended beside the target: the next one is due."""
    spec = SweepSpec(
        model=desk.spec().model, targets=(0.5,), search={"strategy": "trials"}, side_by_side=2, tolerance=0.0
    )
    sweep, jobs = ledger.create_sweep(spec)
    for job in jobs:
        trials = (TrialReport(alpha=job.spec.search.alpha, sparsity=0.3),)
        assert ledger.succeed(desk.claim(job), result.model_copy(update={"trials": trials}))
    return sweep


@pytest.mark.parametrize("order", ["cancel", "stop"])
def test_a_round_that_is_planned_when_its_sweep_is_told_to_end_ends_with_it(desk, ledger, result, order):
    sweep = trial_ended(desk, ledger, result)
    with Meanwhile(ledger, "UPDATE sweeps SET round", lambda: ledger.request_sweep(sweep.id, order)):
        assert [len(group) for group in ledger.plan_rounds()] == [2]
    found = ledger.sweep(sweep.id)
    assert {(point.round, point.state) for point in found.points} == {(1, "succeeded"), (2, "cancelled")}
    assert (found.state, found.ended_because is not None) == ("finished", True)
    assert ledger.plan_rounds() == ()


@pytest.mark.parametrize("words", ["FROM sweeps", "UPDATE sweeps SET round", "FROM jobs"])
def test_a_sweep_that_is_told_to_end_when_its_next_round_is_planned_has_no_other(desk, ledger, result, words):
    sweep, planned = trial_ended(desk, ledger, result), []
    with Meanwhile(ledger, words, lambda: planned.append(ledger.plan_rounds())):
        assert ledger.request_sweep(sweep.id, "stop").state == "finished"
    assert planned == [()]
    assert {point.round for point in ledger.sweep(sweep.id).points} == {1}


@pytest.mark.parametrize("order", ["cancel", "stop"])
def test_a_job_that_is_claimed_when_its_sweep_is_told_to_end_hears_of_it(desk, ledger, order):
    sweep, (job,) = ledger.create_sweep(SweepSpec(model=desk.spec().model, targets=(0.5,)))
    leases = []
    with Meanwhile(ledger, "UPDATE jobs", lambda: leases.append(desk.claim(job)), moment="before"):
        ledger.request_sweep(sweep.id, order)
    if leases == [None]:
        assert ledger.job(job.id).state == "cancelled"
    else:
        assert ledger.renew(leases[0], lease_s=60) == order


@pytest.mark.parametrize("words", ["FROM sweeps", "DELETE FROM jobs"])
def test_a_sweep_and_one_of_its_jobs_are_deleted_at_once(desk, ledger, words):
    for first, second in (("sweep", "job"), ("job", "sweep")):
        sweep, jobs = ledger.create_sweep(SweepSpec(model=desk.spec().model, targets=(0.5, 0.6)))
        ledger.request_sweep(sweep.id, "cancel")

        def delete(what, sweep_id=sweep.id, job_id=jobs[0].id):
            with suppress(NotFound):  # it went with the sweep
                ledger.delete_sweep(sweep_id) if what == "sweep" else ledger.delete_job(job_id)

        with Meanwhile(ledger, words, lambda what=second, delete=delete: delete(what)):
            delete(first)
        assert ledger.jobs().jobs == ()
        with pytest.raises(NotFound):
            ledger.sweep(sweep.id)


@pytest.mark.parametrize("words", ["FROM sweeps", "DELETE FROM jobs"])
def test_a_sweep_that_is_deleted_when_one_of_its_jobs_is_tried_again_stays_whole_or_goes_whole(desk, ledger, words):
    sweep, jobs = ledger.create_sweep(SweepSpec(model=desk.spec().model, targets=(0.5, 0.6)))
    ledger.request_sweep(sweep.id, "cancel")
    refusals = []

    def retry():
        try:
            ledger.retry(jobs[1].id)
        except NotFound as error:
            refusals.append(error)

    with Meanwhile(ledger, words, retry):
        try:
            ledger.delete_sweep(sweep.id)
        except Conflict as error:
            refusals.append(error)
    assert len(refusals) == 1
    left = {job.id for job in ledger.jobs().jobs}
    assert left == (set() if isinstance(refusals[0], NotFound) else {job.id for job in jobs})


def test_of_many_dispatchers_one_sends_each_message(desk, ledger):
    jobs = [desk.submit() for _ in range(30)]
    ledger.unheard([desk.message(job) for job in jobs])
    sent = []
    for _ in range(3):  # a dispatcher passes over what another is at; the next round has it
        for messages in at_once(lambda _: ledger.due(older_than_s=60, limit=7), range(MANY)):
            sent += [message.job_id for message in messages]
    assert sorted(sent) == sorted(job.id for job in jobs)


def test_of_many_couriers_one_takes_each_delivery(desk, ledger):
    ledger.create_webhook(WebhookRequest(url="https://ci.example/x", events=("job.queued",)))
    for _ in range(20):
        desk.submit()
    taken = []
    for _ in range(4):
        for parcels in at_once(lambda _: ledger.take_deliveries(limit=5, hold_s=60), range(MANY)):
            taken += [parcel.id for parcel in parcels]
    assert len(taken) == len(set(taken)) == 20


def test_a_webhook_that_is_deleted_meanwhile_does_not_undo_the_change_it_would_be_told_of(desk, ledger):
    hook, _ = ledger.create_webhook(WebhookRequest(url="https://ci.example/x", events=("job.running",)))
    job = desk.submit()
    with Meanwhile(ledger, "FROM webhooks", lambda: ledger.delete_webhook(hook.id)):
        assert desk.claim(job) is not None
    assert ledger.job(job.id).state == "running"
    assert ledger.webhooks() == ()


def test_a_part_that_is_sent_twice_at_once_arrives(ledger):
    upload = ledger.create_upload(UploadRequest(filename="f", bytes=1000, sha256="ab" * 32), part_bytes=10)
    seen = at_once(lambda n: ledger.mark_part(upload.id, n // 2), range(MANY))
    assert {one.id for one in seen} == {upload.id}
    assert len(ledger.upload(upload.id).missing_parts) == 100 - MANY // 2


def test_what_is_pinned_in_the_middle_of_a_collection_is_known_afterwards(ledger):
    sha256 = "ab" * 32
    ledger.pin(sha256)

    class Store:
        removed = ()

        def delete(self, digest):
            self.removed += (digest,)

    store = Store()
    with Meanwhile(ledger, "DELETE FROM blobs", lambda: ledger.pin(sha256)):
        assert ledger.collect(store, grace_s=-1, only=[sha256]) == 1
    # Whoever pinned it looks for the content afterwards, finds none and stores it: it must be known by then.
    assert ledger.unreferenced(grace_s=-1) == (sha256,)


def test_a_reader_sees_one_state(ledger):
    with ledger.read() as connection:
        before = len(connection.execute(SWEEPS.select()).all())
        with ledger.write() as other:
            other.execute(SWEEPS.insert().values(id="swp_x", tenant="t", spec="{}", created_us=1))
        assert len(connection.execute(SWEEPS.select()).all()) == before
    with ledger.read() as connection:
        assert len(connection.execute(SWEEPS.select()).all()) == before + 1


@pytest.mark.parametrize("busy", ["claim_next", "due", "doubt"])
def test_a_job_that_another_is_changing_is_passed_by_and_not_waited_for(postgres_url, open_desk, busy):
    desk = open_desk(postgres_url)
    first, second = desk.submit(), desk.submit()
    with ThreadPoolExecutor(1) as pool, desk.ledger.write() as connection:
        connection.execute(update(JOBS).where(JOBS.c.id == first.id).values(patience=2))
        if busy == "claim_next":
            found = pool.submit(desk.ledger.claim_next, desk.message(second), worker_id="w", lease_s=60)
            assert found.result(timeout=60).job.id == second.id
        elif busy == "due":
            found = pool.submit(desk.ledger.due, older_than_s=0, limit=9)
            assert [message.job_id for message in found.result(timeout=60)] == [second.id]
        else:
            pool.submit(desk.ledger.doubt, limit=9).result(timeout=60)
    desk.ledger.close()


def test_a_lease_that_runs_out_in_the_middle_of_a_reaping_loses_no_stop_unsaid(desk, ledger):
    job, moments = desk.submit(), []
    desk.claim(job)
    ledger.request(job.id, "stop")

    def run_out(connection, _cursor, statement, *_):
        if statement.startswith("UPDATE jobs") and not moments:
            moments.append(statement)
            connection.exec_driver_sql("UPDATE jobs SET lease_until_us = 1")

    event.listen(ledger._engine, "after_cursor_execute", run_out)
    try:
        assert ledger.reap(max_attempts=3) == 0
    finally:
        event.remove(ledger._engine, "after_cursor_execute", run_out)
    assert ledger.reap(max_attempts=3) == 1
    codes = [one.body.code for one in ledger.events(job.id).events if one.body.kind == "message"]
    assert (codes, len(moments)) == (["STOP_DROPPED"], 1)
