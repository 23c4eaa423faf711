from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from api_schemas import JobErrorInfo
from api_schemas.webhooks import WebhookPayload, WebhookRequest
from sterna.errors import Conflict, NotFound

OOPS = JobErrorInfo(code="OUT_OF_MEMORY", message="no room")
ALL = ("job.queued", "job.running", "job.succeeded", "job.failed", "job.cancelled")


@pytest.fixture
def hook(ledger):
    return ledger.create_webhook(WebhookRequest(url="https://ci.example/x", events=ALL))[0]


def news(ledger, webhook, **more):
    return [one.type for one in reversed(ledger.deliveries(webhook.id, **more))]


def test_every_change_of_state_is_told_and_nothing_else(desk, ledger, hook, result):
    final, _ = ledger.create_webhook(WebhookRequest(url="https://ci.example/final"))
    done, failed, dropped = desk.submit(labels={"a": "b"}), desk.submit(), desk.submit()
    ledger.succeed(desk.claim(done), result)
    ledger.fail(desk.claim(failed), OOPS)
    ledger.retry(failed.id)
    ledger.request(dropped.id, "cancel")
    told = [(one.job_id, one.type) for one in ledger.deliveries(hook.id)]
    expected = [
        *((job.id, "job.queued") for job in (done, failed, dropped, failed)),
        (done.id, "job.running"), (failed.id, "job.running"),
        (done.id, "job.succeeded"), (failed.id, "job.failed"), (dropped.id, "job.cancelled"),
    ]  # fmt: skip
    assert sorted(told) == sorted(expected)
    assert sorted(news(ledger, final)) == ["job.cancelled", "job.failed", "job.succeeded"]
    bodies = [WebhookPayload.model_validate_json(p.body) for p in ledger.take_deliveries(limit=99, hold_s=60)]
    failure = next(body for body in bodies if body.type == "job.failed")
    assert (failure.data.job_id, failure.data.state, failure.data.error) == (failed.id, "failed", OOPS)
    assert {body.data.labels.get("a") for body in bodies if body.data.job_id == done.id} == {"b"}


def test_a_tenants_news_are_its_own(desk, ledger, hook):
    desk.submit(tenant="other")
    assert ledger.deliveries(hook.id) == ()
    for call in (ledger.webhook, ledger.deliveries, ledger.delete_webhook):
        with pytest.raises(NotFound):
            call(hook.id, tenant="other")
    with pytest.raises(NotFound):
        ledger.rotate_secret(hook.id, keep_s=1, tenant="other")
    assert ledger.webhooks(tenant="other") == ()


@pytest.mark.usefixtures("hook")
def test_one_of_many_takes_a_delivery_and_what_is_not_reported_comes_back(desk, ledger):
    for _ in range(10):
        desk.submit()
    with ThreadPoolExecutor(4) as pool:
        taken = [
            p for parcels in pool.map(lambda _: ledger.take_deliveries(limit=5, hold_s=60), range(4)) for p in parcels
        ]
    assert len(taken) == len({parcel.id for parcel in taken}) == 10
    assert {parcel.attempt for parcel in taken} == {1}
    lost = taken[0]
    with ledger.write() as connection:
        connection.execute(text("UPDATE deliveries SET next_us = 1 WHERE id = :id"), {"id": lost.id})
    (again,) = ledger.take_deliveries(limit=5, hold_s=60)
    assert (again.id, again.attempt) == (lost.id, 2)
    assert not ledger.delivered(lost, status=200)  # too late: somebody else has it
    assert ledger.delivered(again, status=204)
    assert not ledger.not_delivered(again, status=500, error="late")


def test_tries_come_ever_later_and_end(desk, ledger, hook):
    desk.submit()
    waits_s = (10.0, 20.0)
    for attempt, wait_s in ((1, 10.0), (2, 20.0), (3, None)):
        (parcel,) = ledger.take_deliveries(limit=1, hold_s=60)
        assert parcel.attempt == attempt
        assert ledger.not_delivered(parcel, status=500, error="answered 500", waits_s=waits_s)
        (row,) = ledger.deliveries(hook.id)
        assert (row.state, row.last_status) == ("pending" if wait_s else "failed", 500)
        if wait_s:
            assert ledger.take_deliveries(limit=1, hold_s=60) == ()
            with ledger.write() as connection:
                due = f"UPDATE deliveries SET next_us = next_us - {int(wait_s * 1e6)} - 1000"  # noqa: S608
                connection.exec_driver_sql(due)
    again = ledger.redeliver(hook.id, row.id)
    assert (again.state, again.attempts) == ("pending", 0)
    assert ledger.take_deliveries(limit=1, hold_s=60)[0].id == row.id


def test_a_receiver_that_is_gone_hears_no_more(desk, ledger, hook):
    desk.submit()
    desk.submit()
    parcel, _ = ledger.take_deliveries(limit=2, hold_s=60)
    ledger.disable_webhook(parcel, reason="the receiver answered 410 Gone")
    desk.submit()
    assert {one.state for one in ledger.deliveries(hook.id)} == {"failed"}
    assert len(ledger.deliveries(hook.id)) == 2
    assert (ledger.webhook(hook.id).enabled, "410" in ledger.webhook(hook.id).disabled_reason) == (False, True)
    with pytest.raises(Conflict):
        ledger.redeliver(hook.id, parcel.id)


def test_a_new_secret_stands_beside_the_old_one_for_a_while(desk, ledger):
    webhook, first = ledger.create_webhook(WebhookRequest(url="https://x.example", events=ALL))
    desk.submit()
    _, second = ledger.rotate_secret(webhook.id, keep_s=60)
    assert ledger.take_deliveries(limit=1, hold_s=60)[0].secrets == (second, first)
    _, third = ledger.rotate_secret(webhook.id, keep_s=-1)
    desk.submit()
    assert ledger.take_deliveries(limit=1, hold_s=60)[0].secrets == (third,)


def test_what_is_deleted_or_old_is_gone(desk, ledger, hook):
    desk.submit()
    (parcel,) = ledger.take_deliveries(limit=1, hold_s=60)
    ledger.delivered(parcel, status=200)
    desk.submit()
    ledger.forget_deliveries(older_than_s=-1)
    assert [one.state for one in ledger.deliveries(hook.id)] == ["pending"]
    for unknown in ("msg_" + "0" * 32, "x\x00", parcel.id):
        with pytest.raises(NotFound):
            ledger.redeliver(hook.id, unknown)
    ledger.delete_webhook(hook.id)
    assert ledger.take_deliveries(limit=9, hold_s=60) == ()
    with pytest.raises(NotFound):
        ledger.webhook(hook.id)


@pytest.mark.parametrize(
    "url", ["", "ftp://x", "https://", "https://user@x.example/", "https://x.example/#f", "https://x .example", "/x"]
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(ValueError, match="url"):
        WebhookRequest(url=url)
