import pytest
from sqlalchemy import text

from api_schemas import JobErrorInfo, JobSpec
from sterna.errors import Conflict, NotFound

OOPS = JobErrorInfo(code="OUT_OF_MEMORY", message="no room", hint="send less")
NOBODY = "job_" + "0" * 32


def test_a_job_needs_a_complete_upload_of_its_own_tenant(desk, ledger):
    foreign = desk.spec(tenant="other")
    for spec in (foreign, JobSpec(model="upl_" + "0" * 32, target_sparsity=0.5)):
        with pytest.raises(NotFound, match="no complete upload"):
            ledger.submit(spec)
    assert ledger.jobs().jobs == ()


@pytest.mark.parametrize("end", ["failed", "cancelled", "cancelled while it waited", "exhausted"])
def test_a_retry_begins_the_next_attempt(desk, ledger, end):
    job = desk.submit()
    if end == "cancelled while it waited":
        ledger.request(job.id, "cancel")
    elif end == "exhausted":
        desk.claim(job, lease_s=-1)
        assert ledger.reap(max_attempts=1) == 1
    else:
        lease = desk.claim(job)
        assert ledger.fail(lease, OOPS) if end == "failed" else ledger.cancelled(lease)
    again = ledger.retry(job.id)
    assert (again.state, again.attempt, again.error, again.finished_at) == ("queued", 2, None, None)
    assert desk.states(job)[-1] == "queued"
    assert not ledger.events(job.id).final
    with pytest.raises(Conflict, match="queued"):
        ledger.retry(job.id)
    assert desk.claim(job).attempt == 2
    assert ledger.reap(max_attempts=1) == 0


def test_what_waits_runs_or_succeeded_is_not_tried_again(desk, ledger, result):
    job = desk.submit()
    lease = None
    for state in ("queued", "running", "succeeded"):
        if state == "running":
            lease = desk.claim(job)
        elif state == "succeeded":
            ledger.succeed(lease, result)
        before = ledger.job(job.id)
        with pytest.raises(Conflict, match=state):
            ledger.retry(job.id)
        assert ledger.job(job.id) == before


def test_a_deleted_job_is_gone_with_all_that_was_its_own(desk, ledger):
    job, other = desk.submit(labels={"a": "b"}), desk.submit()
    lease = desk.claim(job)
    ledger.keep_log(lease, "words")
    ledger.fail(lease, OOPS)
    assert ledger.delete_job(job.id) == ("ab" * 32,)
    for gone in (ledger.job, ledger.events, ledger.log, ledger.delete_job, ledger.retry):
        with pytest.raises(NotFound):
            gone(job.id)
    with pytest.raises(NotFound):
        ledger.upload(job.spec.model)
    assert ledger.upload(other.spec.model).complete
    with ledger.read() as connection:
        for table in ("events", "job_labels", "job_logs", "job_blobs"):
            rows = connection.execute(text(f"SELECT count(*) FROM {table} WHERE job_id = :id"), {"id": job.id})  # noqa: S608
            assert rows.scalar_one() == 0


@pytest.mark.parametrize("running", [False, True])
def test_a_job_that_goes_on_is_not_deleted(desk, ledger, running):
    job = desk.submit()
    if running:
        desk.claim(job)
    with pytest.raises(Conflict, match="only a job that has ended"):
        ledger.delete_job(job.id)
    assert ledger.upload(job.spec.model).complete


def test_an_upload_that_another_job_uses_stays(desk, ledger):
    spec = desk.spec()
    first, second = ledger.submit(spec), ledger.submit(spec)
    for job, left in ((first, True), (second, False)):
        ledger.request(job.id, "cancel")
        ledger.delete_job(job.id)
        if left:
            assert ledger.upload(spec.model).complete
    with pytest.raises(NotFound):
        ledger.upload(spec.model)


def test_expired_jobs_go_and_the_rest_stays(desk, ledger):
    old, fresh, waiting = desk.submit(), desk.submit(tenant="other"), desk.submit()
    ledger.request(old.id, "cancel")
    ledger.request(fresh.id, "cancel", tenant="other")
    with ledger.write() as connection:
        connection.execute(text("UPDATE jobs SET finished_us = 1 WHERE id = :id"), {"id": old.id})
        connection.exec_driver_sql("UPDATE jobs SET created_us = 1")
    assert ledger.delete_expired(older_than_s=60) == 1
    assert [job.id for job in ledger.jobs().jobs] == [waiting.id]
    assert ledger.job(fresh.id, tenant="other").state == "cancelled"


def test_another_tenants_things_are_not_there(desk, ledger):
    job = desk.submit(tenant="other", labels={"a": "b"})
    calls = (
        ledger.job,
        ledger.events,
        ledger.log,
        ledger.retry,
        ledger.delete_job,
        lambda one: ledger.request(one, "cancel"),
        lambda one: ledger.request(one, "stop"),
        lambda _: ledger.upload(job.spec.model),
        lambda _: ledger.upload_sha256(job.spec.model),
        lambda _: ledger.mark_part(job.spec.model, 0),
    )
    for call in calls:
        with pytest.raises(NotFound):
            call(job.id)
    assert ledger.jobs().jobs == ()
    assert ledger.job(job.id, tenant="other") == job
    assert not ledger.knows_content("ab" * 32)
    assert ledger.knows_content("ab" * 32, tenant="other")
