"""The database is killed under a job that runs, and comes back."""

import time

import pytest

from storage import BlobStore, Ledger
from tests.workers.conftest import Desk


@pytest.fixture
def desk(postgres_url, tmp_path):
    ledger = Ledger.open(postgres_url)
    yield Desk(ledger, BlobStore.open(f"file://{tmp_path}/blobs"), tmp_path)
    ledger.close()


def test_a_ledger_that_is_away_while_a_job_runs_and_ends_costs_no_attempt(desk, postgres, in_thread, eventually):
    message = desk.submit()
    running = in_thread(desk.supervisor("obey_stop", lease_s=60), desk.claim(message, lease_s=60))
    eventually(lambda: desk.ledger.job(message.job_id).phase == "search")
    desk.ledger.request(message.job_id, "stop")
    postgres.kill()
    try:
        time.sleep(1)
        assert running.thread.is_alive()
    finally:
        postgres.start()

    assert running.join() == "succeeded"
    job = desk.ledger.job(message.job_id)
    assert (job.state, job.attempt) == ("succeeded", 1)
    states = [body.state for body in desk.bodies(message.job_id) if body.kind == "state"]
    assert states == ["queued", "running", "succeeded"]


def test_what_was_heard_meanwhile_is_told_afterwards(desk, postgres, in_thread, eventually):
    message = desk.submit()
    running = in_thread(desk.supervisor("slow", lease_s=60), desk.claim(message, lease_s=60))
    eventually(lambda: desk.ledger.job(message.job_id).progress.step)
    postgres.kill()
    time.sleep(1)
    postgres.start()

    assert running.join() == "succeeded"
    points = [body.step for body in desk.bodies(message.job_id) if body.kind == "progress"]
    # None is missing; those whose writing was answered by the kill alone may be there twice.
    assert sorted(set(points)) == list(range(40))


def test_a_ledger_that_stays_away_costs_the_attempt(desk, postgres, in_thread, eventually):
    message = desk.submit()
    running = in_thread(desk.supervisor("hang", lease_s=2), desk.claim(message, lease_s=2))
    eventually(lambda: desk.ledger.job(message.job_id).phase == "search")
    postgres.kill()
    try:
        assert running.join() == "lost"
    finally:
        postgres.start()
    assert desk.ledger.job(message.job_id).state == "running"
    eventually(lambda: desk.ledger.reap(max_attempts=3))
    assert desk.ledger.job(message.job_id).state == "queued"
