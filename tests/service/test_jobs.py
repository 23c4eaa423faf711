import json
import threading
import time

import pytest

from api_schemas import JobErrorInfo, ProgressPoint
from api_schemas.events import PhaseChange
from storage.jobs import JobFilter

NOBODY = "job_" + "0" * 32
ONE_MODEL = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nx\r\n'
TWO_MODELS = ONE_MODEL + ONE_MODEL + b"--b--\r\n"


def jobs_of(service) -> int:
    return len(service.ledger.jobs(page_size=1000).jobs)


@pytest.fixture(scope="session")
def ids(shared, tiny) -> dict[str, str]:
    """Uploads that can be used."""
    return {"model": shared.upload(tiny.model.read_bytes()), "data": shared.upload(tiny.data.read_bytes())}


def form_of(tiny, spec: str = '{"target_sparsity": 0.75}', **files) -> dict:
    return {"spec": (None, spec), "model": ("m.pt2", tiny.model.read_bytes()), "data": tiny.data.read_bytes()} | files


def test_json_with_uploads(service, ids):
    answer = service.http.post("/v1/jobs", json=ids | {"target_sparsity": 0.75, "labels": {"team": "a"}})
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert int(answer.headers["retry-after"]) > 0
    assert (job["state"], job["attempt"], job["labels"]) == ("queued", 1, {"team": "a"})
    assert set(job["latest"]) == {"loss", "sparsity", "alpha", "lambda", "metric"}
    assert service.http.get(answer.headers["location"]).json() == job
    queue = service.folder / "data" / "queue" / "messages"
    assert any(job["id"] in _message(path) for path in queue.iterdir())


def _message(path) -> str:
    import base64  # noqa: PLC0415 - only this reads what the broker writes

    return base64.b64decode(json.loads(path.read_text())["body"]).decode()


def test_a_target_that_so_few_weights_cannot_have_is_refused_at_once(service, tiny, refused):
    answer = service.http.post("/v1/jobs", files=form_of(tiny, '{"target_sparsity": 0.7}'))
    assert "72 weights" in refused(answer, 422, "TARGET_UNREACHABLE")["detail"]


def test_one_form(service, tiny, sha256_of):
    answer = service.http.post("/v1/jobs", files=form_of(tiny))
    assert answer.status_code == 202, answer.text
    spec = answer.json()["spec"]
    assert spec["target_sparsity"] == 0.75
    for name, path in (("model", tiny.model), ("data", tiny.data)):
        upload = service.http.get(f"/v1/uploads/{spec[name]}").json()
        assert (upload["complete"], upload["bytes"]) == (True, path.stat().st_size)
        assert service.ledger.upload_sha256(spec[name]) == sha256_of(path.read_bytes())
    assert service.http.get(f"/v1/uploads/{spec['model']}").json()["filename"] == "m.pt2"
    assert not any((service.folder / "data" / "scratch").iterdir())


def test_data_may_be_left_out_and_the_spec_may_be_a_file(service, tiny):
    form = form_of(tiny) | {"spec": ("spec.json", b'{"target_sparsity": 0.75}', "application/json")}
    del form["data"]
    answer = service.http.post("/v1/jobs", files=form)
    assert answer.status_code == 202, answer.text
    assert answer.json()["spec"]["data"] is None


@pytest.mark.parametrize(
    ("change", "status", "code", "pointer"),
    [
        ({"spec": (None, "{")}, 422, "INVALID_SPEC", None),
        ({"spec": (None, "[]")}, 422, "INVALID_SPEC", None),
        ({"spec": (None, '{"target_sparsity": NaN}')}, 422, "INVALID_SPEC", "/target_sparsity"),
        ({"spec": (None, '{"target_sparsity": 2}')}, 422, "INVALID_SPEC", "/target_sparsity"),
        ({"spec": (None, '{"target_sparsity": 0.5, "seeed": 1}')}, 422, "INVALID_SPEC", "/seeed"),
        ({"spec": (None, '{"target_sparsity": 0.5, "model": "x"}')}, 422, "INVALID_SPEC", "/model"),
        ({"spec": (None, '{"target_sparsity": 0.5, "exclude": ["\\ud800"]}')}, 422, "INVALID_SPEC", None),
        ({"model": None}, 422, "INVALID_SPEC", "/model"),
        ({"spec": None}, 422, "INVALID_SPEC", "/spec"),
        ({"other": b"x"}, 422, "INVALID_SPEC", "/other"),
        ({"model": ("m.pt2", b"not a model")}, 422, "UNSUPPORTED_FORMAT", None),
    ],
)
def test_a_form_that_is_refused_makes_no_job(service, tiny, refused, *, change, status, code, pointer):
    before = jobs_of(service)
    form = {name: value for name, value in (form_of(tiny) | change).items() if value is not None}
    problem = refused(service.http.post("/v1/jobs", files=form), status, code)
    if pointer is not None:
        assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert jobs_of(service) == before
    assert not any((service.folder / "data" / "scratch").iterdir())


def test_data_that_does_not_fit_is_refused(service, tiny, ids, refused, tmp_path):
    import numpy as np  # noqa: PLC0415 - one test needs it

    np.savez(tmp_path / "d.npz", wrong_name=np.zeros((4, 3), np.float32))
    wrong = (tmp_path / "d.npz").read_bytes()
    refused(service.http.post("/v1/jobs", files=form_of(tiny, data=wrong)), 422, "DATA_MISMATCH")
    body = {"model": ids["model"], "data": service.upload(wrong), "target_sparsity": 0.5}
    refused(service.http.post("/v1/jobs", json=body), 422, "DATA_MISMATCH")


def test_refused_content_does_not_reach_the_blob_store(service, tiny, sha256_of):
    service.http.post("/v1/jobs", files=form_of(tiny, model=("m", b"not a model at all")))
    assert not service.backends.blobs.has(sha256_of(b"not a model at all"))


@pytest.mark.parametrize(
    "body",
    [
        b'--b\r\nContent-Disposition: form-data; name="spec"\r\n\r\n{}',
        b"--c\r\n",
        b"",
        b"--b\r\n\r\n\r\n--b--",
        TWO_MODELS,
    ],
)
@pytest.mark.parametrize("boundary", ["; boundary=b", ""])
def test_malformed_forms(service, body, boundary):
    headers = {"Content-Type": f"multipart/form-data{boundary}"}
    answer = service.http.post("/v1/jobs", content=body, headers=headers)
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("announced", [True, False])
def test_a_form_beyond_its_cap_points_at_uploads(serve, tiny, refused, announced):
    with serve(max_multipart_bytes=10_000, max_json_bytes=10_000) as service:
        request = service.http.build_request("POST", "/v1/jobs", files=form_of(tiny, model=("m", b"x" * 30_000)))
        body = request.read()
        headers = {"Content-Type": request.headers["content-type"]}
        answer = service.http.post("/v1/jobs", content=body if announced else iter([body]), headers=headers)
        assert "/v1/uploads" in refused(answer, 413, "REQUEST_TOO_LARGE")["hint"]


def test_uploads_that_cannot_be_used(service, ids, refused):
    unknown = {"model": "upl_" + "0" * 32, "target_sparsity": 0.5}
    problem = refused(service.http.post("/v1/jobs", json=unknown), 422, "INVALID_SPEC")
    assert problem["errors"][0]["pointer"] == "/model"
    wanted = {"filename": "d", "bytes": 3, "sha256": "1" * 64}
    incomplete = service.http.post("/v1/uploads", json=wanted).json()["id"]
    answer = service.http.post("/v1/jobs", json=ids | {"data": incomplete, "target_sparsity": 0.5})
    assert refused(answer, 422, "INVALID_SPEC")["errors"][0]["pointer"] == "/data"


def test_excluding_everything_leaves_nothing_to_ternarise(service, ids, refused):
    answer = service.http.post("/v1/jobs", json=ids | {"target_sparsity": 0.5, "exclude": ["*"]})
    refused(answer, 422, "NOTHING_TO_TERNARISE")


def test_the_body_must_be_json_or_a_form(service, refused):
    for headers in ({"Content-Type": "text/plain"}, {}):
        refused(service.http.post("/v1/jobs", content=b"{}", headers=headers), 415, "UNSUPPORTED_MEDIA_TYPE")


def test_submitting_may_wait_for_the_end(service, ids):
    def work() -> None:
        while not (waiting := service.ledger.jobs(JobFilter(("queued",), (("k", "wait"),))).jobs):
            time.sleep(0.01)
        service.finish(service.claim(waiting[0]))

    worker = threading.Thread(target=work)
    worker.start()
    body = ids | {"target_sparsity": 0.5, "labels": {"k": "wait"}}
    answer = service.http.post("/v1/jobs", json=body, headers={"Prefer": "respond-async, wait=20"})
    worker.join()
    assert answer.status_code == 200
    assert answer.json()["state"] == "succeeded"
    assert answer.headers["preference-applied"] == "wait=20"


def test_waiting_ends_when_the_time_is_up(serve):
    with serve(max_wait_s=0.3) as service:
        job = service.queued()
        begun = time.monotonic()
        answer = service.http.get(f"/v1/jobs/{job.id}", headers={"Prefer": "wait=50"})
        assert time.monotonic() - begun > 0.25
        assert answer.headers["preference-applied"] == "wait=0.3"
        assert answer.json()["state"] == "queued"


def test_long_polls_hold_no_threads(service):
    """More polls than the pool has threads, and the service still answers."""
    job = service.queued()
    address = f"/v1/jobs/{job.id}"
    answers: list[int] = []

    def poll() -> None:
        answers.append(service.http.get(address, headers={"Prefer": "wait=20"}).status_code)

    polls = [threading.Thread(target=poll) for _ in range(60)]
    for thread in polls:
        thread.start()
    time.sleep(0.3)
    begun = time.monotonic()
    assert service.http.post(f"{address}/cancel").json()["state"] == "cancelled"
    assert time.monotonic() - begun < 15, "it waited for the polls"
    for thread in polls:
        thread.join()
    assert answers == [200] * 60


def test_a_long_poll_sees_a_new_phase_but_sleeps_through_progress(service):
    job = service.queued()
    lease = service.claim(job)

    def work() -> None:
        for step in range(3):
            service.ledger.record(lease, [ProgressPoint(step=step, steps=9)])
            time.sleep(0.1)
        service.ledger.record(lease, [PhaseChange(phase="search")])

    worker = threading.Thread(target=work)
    worker.start()
    answer = service.http.get(f"/v1/jobs/{job.id}", headers={"Prefer": "wait=20"})
    worker.join()
    assert answer.json()["phase"] == "search"


def test_conditional_reads(service):
    job = service.queued()
    address = f"/v1/jobs/{job.id}"
    first = service.http.get(address)
    tag = {"If-None-Match": first.headers["etag"]}
    same = service.http.get(address, headers=tag)
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", first.headers["etag"])
    waited = service.http.get(address, headers=tag | {"Prefer": "wait=0"})
    assert waited.status_code == 304
    service.claim(job)
    changed = service.http.get(address, headers=tag | {"Prefer": "wait=20"})
    assert changed.status_code == 200
    assert changed.json()["state"] == "running"
    assert changed.elapsed.total_seconds() < 15
    assert changed.headers["etag"] != first.headers["etag"]


def test_a_finished_job_says_where_its_artifacts_are(service, artifact_content):
    job, artifact = service.finished()
    body = service.http.get(f"/v1/jobs/{job.id}")
    assert "retry-after" not in body.headers
    (found,) = body.json()["result"]["artifacts"]
    assert found["sha256"] == artifact.sha256
    assert service.http.get(found["url"]).content == artifact_content
    (listed,) = [j for j in service.http.get("/v1/jobs?page_size=200").json()["jobs"] if j["id"] == job.id]
    assert listed["result"]["artifacts"][0]["url"] == found["url"]


def test_cancel_and_stop(service, refused):
    queued, running = service.queued(), service.queued()
    lease = service.claim(running)
    refused(service.http.post(f"/v1/jobs/{queued.id}/stop"), 409, "CONFLICT")
    assert service.http.post(f"/v1/jobs/{queued.id}/cancel").json()["state"] == "cancelled"
    refused(service.http.post(f"/v1/jobs/{queued.id}/cancel"), 409, "CONFLICT")
    assert service.http.post(f"/v1/jobs/{running.id}/stop").json()["state"] == "running"
    assert service.ledger.renew(lease, lease_s=60) == "stop"
    for order in ("cancel", "stop", "events", "artifacts"):
        method = "POST" if order in {"cancel", "stop"} else "GET"
        refused(service.http.request(method, f"/v1/jobs/{NOBODY}/{order}"), 404, "NOT_FOUND")


def test_events(service):
    job = service.queued()
    lease = service.claim(job)
    service.ledger.record(lease, [ProgressPoint(step=1, steps=2, lambda_=3.0)])
    service.ledger.fail(lease, JobErrorInfo(code="OUT_OF_MEMORY", message="m"))
    address = f"/v1/jobs/{job.id}/events"
    body = service.http.get(address).json()
    assert [event["id"] for event in body["events"]] == [1, 2, 3, 4]
    assert body["events"][2]["body"]["lambda"] == 3.0
    assert body["events"][3]["body"]["error"]["code"] == "OUT_OF_MEMORY"
    assert body["final"] is True
    page = service.http.get(address, params={"after": 1, "limit": 2}).json()
    assert ([event["id"] for event in page["events"]], page["final"]) == ([2, 3], False)


def test_a_job_is_tried_again_and_announced(service, refused):
    job = service.queued()
    address = f"/v1/jobs/{job.id}/retry"
    refused(service.http.post(address), 409, "CONFLICT")
    service.ledger.fail(service.claim(job), JobErrorInfo(code="OUT_OF_MEMORY", message="m"))
    answer = service.http.post(address)
    assert (answer.status_code, answer.json()["state"], answer.json()["attempt"]) == (202, "queued", 2)
    assert answer.headers["location"] == f"/v1/jobs/{job.id}"
    queue = service.folder / "data" / "queue" / "messages"
    assert any(f"{job.id}-2" in path.name for path in queue.iterdir())
    refused(service.http.post(f"/v1/jobs/{NOBODY}/retry"), 404, "NOT_FOUND")


def test_a_deleted_job_takes_its_content_along(serve, refused):
    with serve(blob_grace_s=0) as service:
        job, artifact = service.finished()
        model = service.ledger.upload_sha256(job.spec.model)
        assert service.backends.blobs.has(artifact.sha256)
        time.sleep(0.01)  # the database counts in milliseconds
        answer = service.http.delete(f"/v1/jobs/{job.id}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert not service.backends.blobs.has(artifact.sha256)
        assert not service.backends.blobs.has(model)
        for path in ("", "/events", "/artifacts", "/logs"):
            refused(service.http.get(f"/v1/jobs/{job.id}{path}"), 404, "NOT_FOUND")
        refused(service.http.delete(f"/v1/jobs/{job.id}"), 404, "NOT_FOUND")
        waiting = service.queued()
        refused(service.http.delete(f"/v1/jobs/{waiting.id}"), 409, "CONFLICT")


def test_logs(service, refused):
    job = service.queued()
    address = f"/v1/jobs/{job.id}/logs"
    refused(service.http.get(address), 404, "NOT_FOUND")
    for attempt in (1, 2):
        lease = service.claim(job)
        service.ledger.keep_log(lease, "begun\n")
        service.ledger.keep_log(lease, f"<b>attempt {attempt}</b> \x00 ä\n")
        service.ledger.release(lease)
    newest = service.http.get(address)
    assert newest.text == "<b>attempt 2</b> \ufffd ä\n"
    assert newest.headers["content-type"] == "text/plain; charset=utf-8"
    assert (newest.headers["x-content-type-options"], newest.headers["sterna-attempt"]) == ("nosniff", "2")
    assert "attempt 1" in service.http.get(address, params={"attempt": 1}).text
    refused(service.http.get(address, params={"attempt": 3}), 404, "NOT_FOUND")
    refused(service.http.get(address, params={"attempt": 0}), 422, "INVALID_SPEC")


def test_lists(service):
    mine = [service.queued(labels={"list": "mine", "n": str(n)}).id for n in range(3)]
    query = {"label": "list=mine", "page_size": 2}
    first = service.http.get("/v1/jobs", params=query).json()
    second = service.http.get("/v1/jobs", params=query | {"page_token": first["next_page_token"]}).json()
    assert {job["id"] for job in first["jobs"] + second["jobs"]} == set(mine)
    assert (len(first["jobs"]), second["next_page_token"]) == (2, "")
    assert [j["id"] for j in service.http.get("/v1/jobs", params={"label": "n=1"}).json()["jobs"]] == [mine[1]]
    service.ledger.request(mine[0], "cancel")
    only = service.http.get("/v1/jobs", params={"label": "list=mine", "state": "cancelled"}).json()["jobs"]
    assert [job["id"] for job in only] == [mine[0]]
    both = {"label": ["list=mine", "n=2"], "state": ["queued", "cancelled"]}
    assert [job["id"] for job in service.http.get("/v1/jobs", params=both).json()["jobs"]] == [mine[2]]


@pytest.mark.parametrize(
    "query",
    [
        "page_size=-1",
        "page_size=x",
        "page_token=abc",
        "state=done",
        "label=x",
        "label=a=%00",
        "page_token=%FF",
        "sate=queued",
    ],
)
def test_lists_refuse_what_they_do_not_know(service, refused, query):
    refused(service.http.get(f"/v1/jobs?{query}"), 422, "INVALID_SPEC")


def test_a_silent_broker_delays_a_job_but_does_not_lose_it(serve, tiny):
    with serve(broker_url="redis://127.0.0.1:1/0") as service:
        answer = service.http.post("/v1/jobs", files=form_of(tiny))
        assert answer.status_code == 202, answer.text
        (message,) = service.ledger.due(older_than_s=0, limit=10)
        assert message.job_id == answer.json()["id"]
