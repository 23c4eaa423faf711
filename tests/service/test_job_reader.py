import asyncio

import pytest
from sqlalchemy.exc import OperationalError

from api_schemas import JobSpec, ProgressPoint, UploadRequest
from service.job_reader import JobReader
from sterna.errors import NotFound
from storage import Ledger


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger.open(f"sqlite:///{tmp_path}/l.db")
    yield ledger
    ledger.close()


@pytest.fixture
def submit(ledger):
    def make(tenant="t"):
        wanted = UploadRequest(filename="f", bytes=1, sha256="0" * 64)
        upload = ledger.create_upload(wanted, part_bytes=1, complete=True, tenant=tenant)
        return ledger.submit(JobSpec(model=upload.id, target_sparsity=0.5), tenant=tenant)

    return make


def test_everybody_gets_their_own_job_and_few_looks_are_needed(ledger, submit, monkeypatch):
    jobs = [submit() for _ in range(30)]
    looks = []
    real = ledger.job_versions
    monkeypatch.setattr(ledger, "job_versions", lambda ids: looks.append(len(ids)) or real(ids))

    async def ask():
        reader = JobReader(ledger)
        return await asyncio.gather(*(reader.read(job.id, tenant="t") for job in jobs * 5))

    told = asyncio.run(ask())
    assert [one.job for one in told] == jobs * 5
    assert sum(looks) == 30
    assert len(looks) <= 3


def test_what_is_told_is_never_older_than_the_question(ledger, submit):
    job = submit()
    steps = []

    async def follow():
        reader = JobReader(ledger)
        assert (await reader.read(job.id, tenant="t")).job.state == "queued"
        message = {"job_id": job.id, "attempt": 1}
        lease = ledger.claim(type("M", (), message), worker_id="w", lease_s=60)
        for step in range(5):
            # Figures that are shown and not kept as events change the answer too.
            ledger.record(lease, [], newest=ProgressPoint(step=step, steps=9))
            await asyncio.sleep(0.005)  # the database counts in milliseconds
            told = await reader.read(job.id, tenant="t")
            steps.append(told.job.progress.step)
            assert told.job == ledger.job(job.id, tenant="t")
        ledger.cancelled(lease)
        assert (await reader.read(job.id, tenant="t")).job.state == "cancelled"
        ledger.delete_job(job.id, tenant="t")
        with pytest.raises(NotFound):
            await reader.read(job.id, tenant="t")

    asyncio.run(follow())
    assert steps == [0, 1, 2, 3, 4]


def test_another_tenants_job_is_not_there_even_when_it_is_known(ledger, submit):
    job = submit()

    async def ask():
        reader = JobReader(ledger)
        await reader.read(job.id, tenant="t")
        for tenant, job_id in (("other", job.id), ("t", "job_" + "0" * 32), ("t", "x\x00")):
            with pytest.raises(NotFound):
                await reader.read(job_id, tenant=tenant)

    asyncio.run(ask())


def test_a_database_that_fails_is_told_to_all_and_the_next_question_is_asked_anew(ledger, submit, monkeypatch):
    job = submit()
    real = ledger.job_versions

    def fail(_):
        raise OperationalError("away", None, Exception())

    async def ask():
        reader = JobReader(ledger)
        monkeypatch.setattr(ledger, "job_versions", fail)
        answers = await asyncio.gather(*(reader.read(job.id, tenant="t") for _ in range(3)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [OperationalError] * 3
        monkeypatch.setattr(ledger, "job_versions", real)
        assert (await reader.read(job.id, tenant="t")).job == job

    asyncio.run(ask())


def test_one_who_leaves_takes_nobodys_answer_along(ledger, submit):
    job = submit()

    async def ask():
        reader = JobReader(ledger)
        leaves, stays = (asyncio.create_task(reader.read(job.id, tenant="t")) for _ in range(2))
        await asyncio.sleep(0)
        leaves.cancel()
        assert (await stays).job == job

    asyncio.run(ask())
