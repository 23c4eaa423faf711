import json
import time
from functools import partial

import pytest
from celery import Celery
from kombu.exceptions import OperationalError

from api_schemas import JobMessage
from api_schemas.jobs import Result, TrialReport
from api_schemas.sweeps import SweepSpec
from storage import Settings
from workers.context import WorkerContext
from workers.tasks import run_job
from workers.upkeep import beat, doubt_messages, plan_rounds, reap, send_due, send_group


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
    lease = desk.claim(message)
    assert run_job(context, message.model_copy(update=change)) == "not due"
    assert desk.ledger.renew(lease, lease_s=30) == "continue"


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


@pytest.fixture
def after_a_round(desk):
    """The id of a sweep whose first round of two trials has ended beside the target."""
    model = desk.upload(b"a model")
    spec = SweepSpec(model=model, targets=(0.5,), search={"strategy": "trials"}, side_by_side=2)
    sweep, jobs = desk.ledger.create_sweep(spec)
    for job in jobs:
        result = Result(
            target_sparsity=0.5, sparsity=0.5, alpha=0.1, target_met=True, metric=None, bits_per_weight=1.6,
            entropy_bits_per_weight=1.5, model_bytes=100, artifact_bytes=10, ratio=10, steps=4, seconds=1,
            trials=(TrialReport(alpha=job.spec.search.alpha, sparsity=0.3),),
        )  # fmt: skip
        assert desk.ledger.succeed(desk.claim(JobMessage(job_id=job.id, attempt=1)), result)
    return sweep.id


def test_the_next_round_of_trials_goes_out_as_one_group(desk, context, after_a_round):
    (context.settings.broker_folder / "messages").mkdir(parents=True)
    (context.settings.broker_folder / "control").mkdir()
    app = Celery("tester", set_as_current=False)
    app.conf.update(context.settings.queue_options())
    plan_rounds(context, partial(send_group, app))
    plan_rounds(context, partial(send_group, app))  # nothing is left to plan
    app.close()
    sent = [json.loads(path.read_text()) for path in (context.settings.broker_folder / "messages").iterdir()]
    points = [point for point in desk.ledger.sweep(after_a_round).points if point.round == 2]
    assert len(points) == 2
    assert {message["headers"]["id"] for message in sent} == {f"{point.job_id}-1" for point in points}
    assert len({message["headers"]["group"] for message in sent} - {None}) == 1


def test_a_round_whose_messages_do_not_go_out_is_due_at_once(desk, context, after_a_round):
    def away(_):
        raise OperationalError("away")

    plan_rounds(context, away)
    sent = []
    send_due(context, sent.append)
    waiting = [point.job_id for point in desk.ledger.sweep(after_a_round).points if point.state == "queued"]
    assert sorted(message.job_id for message in sent) == sorted(waiting)
    assert len(waiting) == 2
