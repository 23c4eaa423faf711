import asyncio
import threading
import time

import pytest

from service import idempotency, jobs
from storage.once import Repeatable, Turn


@pytest.fixture(scope="session")
def ids(shared, tiny):
    return {"model": shared.upload(tiny.model.read_bytes()), "target_sparsity": 0.5}


@pytest.fixture
def submit(service, ids, request):
    def send(key=request.node.name, **fields):
        headers = {"Prefer": fields.pop("prefer")} if "prefer" in fields else {}
        if key is not None:
            headers["Idempotency-Key"] = key
        return service.http.post(
            "/v1/jobs", json=ids | {"labels": {"t": request.node.name[:60]}} | fields, headers=headers
        )

    return send


def jobs_of(service, request) -> int:
    return len(service.http.get("/v1/jobs", params={"label": f"t={request.node.name[:60]}"}).json()["jobs"])


def test_the_same_request_is_answered_as_it_was_the_first_time(service, submit, request):
    first = submit()
    service.ledger.request(first.json()["id"], "cancel")
    for key in (request.node.name, f'"{request.node.name}"'):
        again = submit(key)
        assert (again.status_code, again.content) == (202, first.content)
        for name in ("location", "retry-after"):
            assert again.headers[name] == first.headers[name]
        assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    waited = submit(prefer="wait=5")
    assert (waited.status_code, waited.json()["state"]) == (200, "cancelled")
    assert waited.headers["idempotency-replayed"] == "true"
    assert jobs_of(service, request) == 1
    assert submit(None).json()["id"] != first.json()["id"]


def test_another_payload_is_refused(service, submit, request, refused):
    submit()
    refused(submit(seed=1), 422, "IDEMPOTENCY_KEY_REUSED")
    assert jobs_of(service, request) == 1


def test_a_request_that_was_refused_does_not_use_its_key_up(service, submit, request, refused):
    for _ in range(2):
        refused(submit(exclude=["*"]), 422, "NOTHING_TO_TERNARISE")
    assert submit().status_code == 202
    assert jobs_of(service, request) == 1


def test_many_at_once_make_one_job(service, submit, request):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(submit())) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} <= {202, 409}
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["code"] == "REQUEST_IN_PROGRESS"
            assert int(answer.headers["retry-after"]) > 0
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 202}) == 1
    assert jobs_of(service, request) == 1


def test_a_form_is_the_same_whatever_its_boundary_and_order(service, tiny, request, refused):
    model, spec = tiny.model.read_bytes(), '{"target_sparsity": 0.5}'
    headers = {"Idempotency-Key": request.node.name}

    def send(*fields):
        return service.http.post("/v1/jobs", files=list(fields), headers=headers)

    first = send(("spec", (None, spec)), ("model", model))
    again = send(("model", model), ("spec", (None, spec)))
    assert (first.status_code, again.json()["id"]) == (202, first.json()["id"])
    other = send(("model", model), ("spec", (None, spec)), ("data", tiny.data.read_bytes()))
    refused(other, 422, "IDEMPOTENCY_KEY_REUSED")


def test_a_retry_is_done_once(service, request, refused):
    job = service.queued()
    service.ledger.request(job.id, "cancel")
    headers = {"Idempotency-Key": request.node.name}
    address = f"/v1/jobs/{job.id}/retry"
    first, again = (service.http.post(address, headers=headers) for _ in range(2))
    assert (first.status_code, first.json()["attempt"]) == (202, 2)
    assert again.content == first.content
    refused(service.http.post(address), 409, "CONFLICT")


@pytest.mark.parametrize("key", ["", '""', '"a', "x" * 256, b"\xc3\xa4", "a\tb", "a b", "a, b"])
def test_what_is_no_key_is_refused(submit, refused, key):
    refused(submit(key), 400, "MALFORMED_REQUEST")


def test_two_keys_for_one_request_are_refused(service, ids, refused):
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    refused(service.http.post("/v1/jobs", json=ids, headers=headers), 400, "MALFORMED_REQUEST")


def test_a_request_that_takes_long_keeps_its_key_and_one_that_died_frees_it(
    service, submit, request, monkeypatch, refused
):
    monkeypatch.setattr(idempotency, "HOLD_S", 2.0)
    monkeypatch.setattr(idempotency, "RENEW_S", 0.1)
    checked, slow, refusal = jobs.checked, threading.Event(), threading.Event()

    async def slowly(*given):
        slow.set()
        while not refusal.is_set():
            await asyncio.sleep(0.05)
        return await checked(*given)

    monkeypatch.setattr(jobs, "checked", slowly)
    first = []
    thread = threading.Thread(target=lambda: first.append(submit()))
    thread.start()
    assert slow.wait(60)
    time.sleep(idempotency.HOLD_S + 1)
    try:
        refused(submit(), 409, "REQUEST_IN_PROGRESS")
    finally:
        refusal.set()
        thread.join()
    monkeypatch.setattr(jobs, "checked", checked)
    assert submit().content == first[0].content
    assert jobs_of(service, request) == 1

    # As a service does that is killed: the key was taken, and nobody holds it any more.
    dead = Repeatable("local", "POST /v1/jobs", "dead", "f")
    service.ledger.take_turn(dead, hold_s=0.05)
    time.sleep(0.1)
    assert isinstance(service.ledger.take_turn(dead, hold_s=1), Turn)
