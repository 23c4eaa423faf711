from concurrent.futures import ThreadPoolExecutor

import pytest

from api_schemas import UploadRequest
from sterna.errors import QuotaExceeded


def wanted(size: int, name: str = "a") -> UploadRequest:
    return UploadRequest(filename="f", bytes=size, sha256=name * 64)


def test_stored_bytes_count_each_content_once_and_per_tenant(ledger):
    def create(size, name="a", tenant="t", **more):
        return ledger.create_upload(wanted(size, name), part_bytes=9, tenant=tenant, most_bytes=100, **more)

    create(60)
    create(100, tenant="other")
    with pytest.raises(QuotaExceeded, match="60 bytes are stored and 50 more"):
        create(50, "b")
    create(40, "b", complete=False)
    create(60, "a", complete=True)  # the same content once more
    with pytest.raises(QuotaExceeded):
        create(1, "c")
    assert len({ledger.create_upload(wanted(1, "d"), part_bytes=9, tenant="t").id}) == 1  # no quota was named


def test_what_jobs_hold_counts_and_deleting_them_makes_room(desk, ledger):
    job = desk.submit(tenant="t")  # its model has 7 bytes
    with pytest.raises(QuotaExceeded, match="7 bytes"):
        ledger.create_upload(wanted(4), part_bytes=9, tenant="t", most_bytes=10)
    ledger.request(job.id, "cancel", tenant="t")
    ledger.delete_job(job.id, tenant="t")
    ledger.create_upload(wanted(4), part_bytes=9, tenant="t", most_bytes=10)


def test_many_at_once_do_not_exceed_the_jobs_that_may_wait(desk, ledger):
    spec = desk.spec(tenant="t")

    def submit(_: int) -> bool:
        try:
            ledger.submit(spec, tenant="t", most_queued=3)
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(submit, range(10))) == 3
    desk.submit(tenant="other")
    ledger.submit(desk.spec(tenant="other"), tenant="other", most_queued=2)


def test_a_retry_is_a_job_that_waits(desk, ledger):
    job = desk.submit()
    ledger.request(job.id, "cancel")
    desk.submit()
    with pytest.raises(QuotaExceeded):
        ledger.retry(job.id, most_queued=1)
    assert ledger.job(job.id).state == "cancelled"


def test_no_more_jobs_of_a_tenant_run_than_may_and_the_next_is_announced(desk, ledger):
    first, second = desk.submit(), desk.submit()
    other = desk.submit(tenant="other")

    def claim(job, tenant="local"):
        message = desk.message(job, tenant=tenant)
        return ledger.claim(message, worker_id="w", lease_s=60, most_running=1)

    lease = claim(first)
    assert claim(second) is None
    assert ledger.job(second.id).state == "queued"
    assert claim(other, "other") is not None
    assert ledger.due(older_than_s=60, limit=9, most_running=1) == ()
    ledger.cancelled(lease)
    assert ledger.due(older_than_s=60, limit=9, most_running=1) == (desk.message(second),)
    assert claim(second) is not None
