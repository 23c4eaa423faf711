import time

import pytest
from kombu.exceptions import OperationalError

from storage import Settings
from workers.context import WorkerContext
from workers.tasks import run_job
from workers.upkeep import beat, doubt_messages, reap, send_due


@pytest.fixture
def context(desk):
    settings = Settings(data_dir=desk.folder, max_attempts=2, resend_after_s=1000)
    return WorkerContext(settings, desk.ledger, desk.blobs, "tester")


def test_beat_is_what_readiness_asks_for(desk, context):
    assert desk.ledger.alive_workers(within_s=60) == 0
    beat(context, capacity=1)
    assert desk.ledger.alive_workers(within_s=60) == 1


def test_a_lost_lease_is_due_again_and_the_last_one_fails_the_job(desk, context):
    message = desk.submit()
    sent = []
    for attempt in (1, 2):
        lease = desk.ledger.claim(message.model_copy(update={"attempt": attempt}), worker_id="dead", lease_s=0.01)
        assert lease is not None
        time.sleep(0.05)
        reap(context)
        send_due(context, sent.append)
    assert [one.attempt for one in sent] == [2]
    job = desk.ledger.job(message.job_id)
    assert (job.state, job.error.code) == ("failed", "ATTEMPTS_EXHAUSTED")


def test_a_broker_that_is_away_stops_the_round_without_an_error(desk, context):
    for _ in range(2):
        lease = desk.claim(desk.submit())
        desk.ledger.release(lease)
    tried = []

    def send(message):
        tried.append(message)
        raise OperationalError("away")

    send_due(context, send)
    assert len(tried) == 1
    sent = []
    send_due(context, sent.append)
    assert len(sent) == 2  # neither counts as sent


@pytest.mark.parametrize("change", [{"attempt": 2}, {"job_id": "job_" + "0" * 32}])
def test_a_message_that_is_not_due_is_over_at_once(desk, context, change):
    message = desk.submit()
    assert run_job(context, message.model_copy(update=change)) == "not due"
    assert desk.ledger.job(message.job_id).state == "queued"


def test_a_worker_that_shuts_down_claims_nothing(desk, context):
    message = desk.submit()
    context.stopping.set()
    assert run_job(context, message) == "not due"
    assert desk.ledger.job(message.job_id).state == "queued"
    sent = []
    send_due(context, sent.append)
    assert sent == [message]


def test_a_start_doubts_every_message_that_was_sent_before(desk, context):
    waiting, taken = desk.submit(), desk.submit()
    desk.claim(taken)
    sent = []
    send_due(context, sent.append)
    assert sent == []
    doubt_messages(context)
    send_due(context, sent.append)
    assert sent == [waiting]
