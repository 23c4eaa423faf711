import threading

import pytest


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
        assert again.headers["location"] == first.headers["location"]
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
