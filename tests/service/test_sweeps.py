import base64
import json
import time

import pytest


@pytest.fixture(scope="session")
def model(shared, tiny):
    return shared.upload(tiny.model.read_bytes())


def test_a_sweep_is_made_and_looked_at(service, model, request):
    body = {"model": model, "targets": [0.75, 0.5], "labels": {"t": "sweep"}}
    headers = {"Idempotency-Key": request.node.name}
    answer = service.http.post("/v1/sweeps", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    sweep = answer.json()
    assert answer.headers["location"] == f"/v1/sweeps/{sweep['id']}"
    again = service.http.post("/v1/sweeps", json=body, headers=headers)
    assert (again.content, again.headers["idempotency-replayed"]) == (answer.content, "true")
    assert again.headers["retry-after"] == answer.headers["retry-after"]
    jobs = service.http.get("/v1/jobs", params={"label": "t=sweep"}).json()["jobs"]
    assert {job["id"] for job in jobs} == {point["job_id"] for point in sweep["points"]}
    assert {job["sweep_id"] for job in jobs} == {sweep["id"]}
    waiting = (service.folder / "data" / "queue" / "messages").iterdir()
    sent = [json.loads(path.read_text()) for path in waiting if any(job["id"] in path.name for job in jobs)]
    assert sorted(message["headers"]["id"] for message in sent) == sorted(f"{job['id']}-1" for job in jobs)
    assert len({message["headers"]["group"] for message in sent} - {None}) == 1  # they went out together
    calls = [json.loads(base64.b64decode(message["body"]))[1] for message in sent]
    assert {call["job_id"] for call in calls} == {job["id"] for job in jobs}
    by_target = {job["spec"]["target_sparsity"]: service.ledger.job(job["id"]) for job in jobs}
    service.finish(service.claim(by_target[0.5]))
    found = service.http.get(answer.headers["location"]).json()
    assert [(point["state"], point["pareto"]) for point in found["points"]] == [("succeeded", True), ("queued", False)]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"targets": []}, "/targets"),
        ({"targets": [0.5, 2]}, "/targets/1"),
        ({"targets": "0.5"}, "/targets"),
        ({"target_sparsity": 0.5}, "/target_sparsity"),
        ({"model": "upl_" + "0" * 32}, "/model"),
        ({"data": "x"}, "/data"),
        ({"side_by_side": 1, "search": {"strategy": "trials"}}, "/side_by_side"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_made(service, model, refused, change, pointer):
    before = len(service.http.get("/v1/jobs?page_size=200").json()["jobs"])
    answer = service.http.post("/v1/sweeps", json={"model": model, "targets": [0.5]} | change)
    assert refused(answer, 422, "INVALID_SPEC")["errors"][0]["pointer"] == pointer
    assert len(service.http.get("/v1/jobs?page_size=200").json()["jobs"]) == before


def test_fields_that_do_not_go_together_are_named_in_plain_words(service, model, refused):
    answer = service.http.post("/v1/sweeps", json={"model": model, "targets": [0.5], "side_by_side": 3})
    found = refused(answer, 422, "INVALID_SPEC")["errors"][0]["detail"]
    assert found.startswith("side_by_side is given only with strategy 'trials'")


def test_a_target_that_so_few_weights_cannot_have(service, model, refused):
    answer = service.http.post("/v1/sweeps", json={"model": model, "targets": [0.5, 0.7]})
    refused(answer, 422, "TARGET_UNREACHABLE")


def test_trials_side_by_side_go_out_as_one_group(service, model):
    body = {"model": model, "targets": [0.75, 0.5], "search": {"strategy": "trials"}, "side_by_side": 2}
    answer = service.http.post("/v1/sweeps", json=body)
    assert answer.status_code == 202, answer.text
    points = answer.json()["points"]
    assert [(point["target_sparsity"], point["round"]) for point in points] == [(0.5, 1)] * 2 + [(0.75, 1)] * 2
    waiting = (service.folder / "data" / "queue" / "messages").iterdir()
    sent = [json.loads(path.read_text()) for path in waiting if any(point["job_id"] in path.name for point in points)]
    assert len(sent) == 4
    assert len({message["headers"]["group"] for message in sent} - {None}) == 1
    job = service.http.get(f"/v1/jobs/{points[0]['job_id']}").json()
    assert job["spec"]["search"] == {"strategy": "trials", "alpha": points[0]["trial_alpha"]}


def made(service, model, **fields):
    answer = service.http.post("/v1/sweeps", json={"model": model, "targets": [0.5, 0.75]} | fields)
    assert answer.status_code == 202, answer.text
    address = answer.headers["location"]
    return address, [service.ledger.job(point["job_id"]) for point in answer.json()["points"]]


def test_cancel_and_stop(service, model, refused):
    for order in ("cancel", "stop"):
        address, (running, _) = made(service, model)
        lease = service.claim(running)
        for _ in range(2):
            answer = service.http.post(f"{address}/{order}")
            assert answer.status_code == 200, answer.text
            assert [point["state"] for point in answer.json()["points"]] == ["running", "cancelled"]
            assert answer.json() == service.http.get(address).json()
        assert service.ledger.renew(lease, lease_s=60) == order
        assert service.ledger.cancelled(lease)
        for again in ("cancel", "stop"):
            refused(service.http.post(f"{address}/{again}"), 409, "CONFLICT")


def test_trials_that_are_cancelled_say_why_there_are_no_more(service, model):
    address, _ = made(service, model, search={"strategy": "trials"}, side_by_side=2)
    ended = service.http.post(f"{address}/cancel").json()
    assert (ended["state"], ended["ended_because"]) == ("finished", "the sweep was cancelled")
    assert {point["state"] for point in ended["points"]} == {"cancelled"}


def test_a_deleted_sweep_takes_its_content_along(serve, tiny, refused):
    with serve(blob_grace_s=0) as service:
        address, (job, other) = made(service, service.upload(tiny.model.read_bytes()))
        artifact = service.finish(service.claim(job))
        refused(service.http.delete(address), 409, "CONFLICT")
        assert service.http.get(address).json()["points"][0]["state"] == "succeeded"
        service.http.post(f"{address}/cancel")
        digest = service.ledger.upload_sha256(job.spec.model)
        time.sleep(0.01)  # the database counts in milliseconds
        answer = service.http.delete(address)
        assert (answer.status_code, answer.content) == (204, b"")
        assert not service.backends.blobs.has(artifact.sha256)
        assert not service.backends.blobs.has(digest)
        for gone in (address, f"/v1/jobs/{job.id}", f"/v1/jobs/{other.id}"):
            refused(service.http.get(gone), 404, "NOT_FOUND")
        refused(service.http.delete(address), 404, "NOT_FOUND")


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("POST", "/stop")])
def test_an_unknown_sweep(service, refused, method, path):
    for sweep_id in ("swp_" + "0" * 32, "x", "%00"):
        refused(service.http.request(method, f"/v1/sweeps/{sweep_id}{path}"), 404, "NOT_FOUND")
