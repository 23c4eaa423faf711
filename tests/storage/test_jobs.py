import pytest

from sterna.errors import Conflict, InvalidSpec, NotFound
from storage.jobs import JobFilter

NOBODY = "job_" + "0" * 32


def test_a_new_job_is_queued_and_says_so(desk, ledger):
    job = desk.submit(labels={"team": "vision"}, seed=7)
    assert (job.state, job.attempt, job.phase, job.started_at) == ("queued", 1, None, None)
    assert job.labels == {"team": "vision"}
    assert job.spec.seed == 7
    assert ledger.job(job.id) == job
    assert desk.states(job) == ["queued"]
    assert job.created_at.utcoffset().total_seconds() == 0


@pytest.mark.parametrize("job_id", [NOBODY, "", "job_\x00", "job_" + "0" * 32 + "\n", "x" * 10_000, "job_" + "G" * 32])
def test_unknown_jobs(ledger, job_id):
    for call in (ledger.job, ledger.events, lambda i: ledger.request(i, "cancel"), lambda i: ledger.request(i, "stop")):
        with pytest.raises(NotFound):
            call(job_id)


def test_pages_hold_every_job_once_newest_first(desk, ledger):
    sent = [desk.submit().id for _ in range(7)]
    found, token, sizes = [], "", []
    while True:
        page = ledger.jobs(page_size=3, page_token=token)
        found += [job.id for job in page.jobs]
        sizes.append(len(page.jobs))
        desk.submit()  # newer jobs do not shift the pages
        if not (token := page.next_page_token):
            break
    assert sizes == [3, 3, 1]
    assert sorted(found) == sorted(sent)
    created = [ledger.job(job_id).created_at for job_id in found]
    assert created == sorted(created, reverse=True)


def test_filters(desk, ledger):
    red, blue = desk.submit(labels={"c": "red"}), desk.submit(labels={"c": "blue", "d": "red"})
    desk.claim(blue)

    def found(states=(), **labels) -> list[str]:
        return [job.id for job in ledger.jobs(JobFilter(states, tuple(labels.items()))).jobs]

    assert found(c="red") == [red.id]
    assert found(d="red") == [blue.id]
    assert found(c="blue", d="red") == [blue.id]
    assert found(c="red", d="red") == found(c="green") == []
    assert found(["running"]) == [blue.id]
    assert found(["running", "queued"]) == [blue.id, red.id]
    assert found(["queued"], d="red") == []


@pytest.mark.parametrize("token", ["x", "!!!", "\u20ac", "MTIz", "AAAA" * 50])
def test_a_made_up_page_token_is_refused(ledger, token):
    with pytest.raises(InvalidSpec, match="page_token"):
        ledger.jobs(page_token=token)


def test_events_go_on_after_a_number(desk, ledger):
    job = desk.submit()
    desk.claim(job)
    assert [event.id for event in ledger.events(job.id).events] == [1, 2]
    assert [event.id for event in ledger.events(job.id, after=1).events] == [2]
    assert ledger.events(job.id, after=2).events == ()
    assert not ledger.events(job.id).final


def test_events_are_final_with_the_last_one_only(desk, ledger):
    job = desk.submit()
    ledger.request(job.id, "cancel")
    assert not ledger.events(job.id, limit=1).final
    assert ledger.events(job.id, after=1).final
    assert ledger.events(job.id, after=2).final


def test_a_queued_job_is_cancelled_at_once(desk, ledger):
    job = ledger.request(desk.submit().id, "cancel")
    assert job.state == "cancelled"
    assert job.finished_at is not None
    assert desk.states(job) == ["queued", "cancelled"]
    assert desk.claim(job) is None


def test_a_queued_job_has_nothing_to_stop(desk, ledger):
    job = desk.submit()
    with pytest.raises(Conflict, match="only a running job"):
        ledger.request(job.id, "stop")
    assert ledger.job(job.id).state == "queued"


@pytest.mark.parametrize("order", ["cancel", "stop"])
def test_a_job_that_has_ended_takes_no_order(desk, ledger, order):
    job = desk.submit()
    ledger.request(job.id, "cancel")
    with pytest.raises(Conflict, match="cancelled"):
        ledger.request(job.id, order)


def test_a_cancel_outweighs_a_stop(desk, ledger):
    job = desk.submit()
    lease = desk.claim(job)
    heard = []
    for order in ("stop", "stop", "cancel", "stop"):
        assert ledger.request(job.id, order).state == "running"
        heard.append(ledger.renew(lease, lease_s=60))
    assert heard == ["stop", "stop", "cancel", "cancel"]
