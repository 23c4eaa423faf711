"""The client against the real service, with the test in the place of the worker."""

import threading
import time

import httpx
import pytest

import sterna.client.client
from api_schemas import CompressSpec, ProgressPoint, Upload, UploadRequest
from api_schemas.events import PhaseChange
from sterna.client import Client
from sterna.errors import (
    Conflict,
    InputError,
    InvalidSpec,
    NotFound,
    ServiceUnavailable,
    UnsupportedFormat,
    WaitTimeout,
)

SPEC = CompressSpec(target_sparsity=0.5)
CONTENT = bytes(range(256)) * 300


def test_submit_in_one_request(client, server, tiny, sha256):
    model, data = tiny.model, tiny.data
    progress = []
    job = client.submit(model, data, SPEC, labels={"team": "vision"}, on_progress=lambda *done: progress.append(done))
    size = model.stat().st_size + data.stat().st_size
    assert (progress[-1], progress == sorted(progress)) == ((size, size), True)

    assert (job.state, job.labels) == ("queued", {"team": "vision"})
    assert server.ledger.upload_sha256(job.spec.model) == sha256(model.read_bytes())
    assert server.ledger.upload_sha256(job.spec.data) == sha256(data.read_bytes())


def test_submit_in_parts(client, server, tiny, sha256, monkeypatch):
    monkeypatch.setattr(sterna.client.client, "ONE_REQUEST_BYTES", 10)
    model = tiny.model
    progress = []
    job = client.submit(model, None, {"target_sparsity": 0.5}, on_progress=lambda *done: progress.append(done))

    assert server.ledger.upload_sha256(job.spec.model) == sha256(model.read_bytes())
    size = model.stat().st_size
    assert progress[-1] == (size, size)


def test_known_content_is_not_sent_twice_and_the_rest_of_an_upload_is(client, tmp_path, sha256):
    path = tmp_path / "large"
    path.write_bytes(CONTENT)
    progress = []
    first = client.upload(path, on_progress=lambda *done: progress.append(done))
    assert (first.sha256, first.complete) == (sha256(CONTENT), True)
    assert len(progress) == -(-len(CONTENT) // first.part_bytes) > 10

    again = []
    client.upload(path, on_progress=lambda *done: again.append(done))
    assert again == [(len(CONTENT), len(CONTENT))]


def test_a_file_that_becomes_shorter_while_it_is_sent_is_an_error_and_not_waited_for(client, tmp_path):
    path = tmp_path / "shrinking"
    path.write_bytes(CONTENT[::-1] + b"shrinking")

    def cut(*_):
        path.write_bytes(b"x")

    with pytest.raises(InputError, match="became shorter"):
        client.upload(path, on_progress=cut)


def test_an_upload_that_another_process_began_is_finished(client, tmp_path, sha256):
    path = tmp_path / "large"
    content = CONTENT[::-1] + b"begun"
    path.write_bytes(content)
    request = UploadRequest(filename="large", bytes=len(content), sha256=sha256(content))
    begun = client._connection.post("/v1/uploads", Upload, json=request.model_dump())
    part = content[begun.part_bytes : 2 * begun.part_bytes]
    client._connection.put(f"/v1/uploads/{begun.id}/parts/1", httpx.ByteStream(part), size_bytes=len(part))
    progress = []

    done = client.resume_upload(begun.id, path, on_progress=lambda *done: progress.append(done))

    assert (done.id, done.complete) == (begun.id, True)
    assert len(progress) == len(begun.missing_parts) - 1
    assert progress[0] == (2 * begun.part_bytes, len(content))
    path.write_bytes(CONTENT)
    with pytest.raises(InvalidSpec, match="was begun with"):
        client.resume_upload(begun.id, path)


def test_workers(client, server):
    server.ledger.beat("tester", capacity=2)
    assert [(one.id, one.capacity, one.alive) for one in client.workers()] == [("tester", 2, True)]


def test_inspection(client, tiny):
    inspection = client.inspection(client.upload(tiny.model).id)
    assert [layer.weights for layer in inspection.layers] == [32, 16]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"target_sparsity": 1.5}, "less than 1"),
        ({"target_sparsity": 0.5, "speed": 9}, "speed"),
        ({}, "target_sparsity"),
    ],
)
def test_a_bad_spec_is_invalid_and_says_where(client, tiny, spec, words):
    with pytest.raises(InvalidSpec, match=words):
        client.submit(tiny.model, None, spec)


def test_a_bad_model_is_the_class_of_its_code(client, tmp_path):
    path = tmp_path / "model.pt2"
    path.write_bytes(b"#!/bin/sh\n" * 100)
    with pytest.raises(UnsupportedFormat) as raised:
        client.submit(path, None, SPEC)
    assert raised.value.hint


def test_an_empty_file_is_refused_here(client, tmp_path):
    path = tmp_path / "empty"
    path.touch()
    with pytest.raises(InputError, match="empty"):
        client.upload(path)


def test_wait_hears_of_progress_and_returns_the_final_job(client, server, tiny):
    job = client.submit(tiny.model, tiny.data, SPEC)
    lease = server.claim(job.id)
    server.ledger.record(lease, [PhaseChange(phase="search"), ProgressPoint(step=3, steps=10, sparsity=0.5)])
    seen, told = [], threading.Event()
    worker = threading.Thread(target=lambda: told.wait(60) and server.finish(lease, CONTENT))
    worker.start()

    done = client.wait(job.id, timeout_s=60, on_update=lambda update: seen.append(update) or told.set())

    worker.join()
    assert (done.state, done.result.artifacts[0].bytes) == ("succeeded", len(CONTENT))
    assert (seen[0].phase, seen[0].progress.step, seen[-1].state) == ("search", 3, "succeeded")


def test_wait_gives_up_in_time(client, tiny):
    job = client.submit(tiny.model, tiny.data, SPEC)
    began = time.monotonic()
    with pytest.raises(WaitTimeout, match="still queued"):
        client.wait(job.id, timeout_s=1.2)
    assert 1.0 < time.monotonic() - began < 30


def test_wait_survives_a_killed_and_restarted_service(client, server, tiny):
    job = client.submit(tiny.model, tiny.data, SPEC)
    lease = server.claim(job.id)

    def restart():
        time.sleep(0.5)
        server.kill()
        time.sleep(1)
        server.finish(lease, CONTENT)
        server.start()

    thread = threading.Thread(target=restart)
    thread.start()
    done = client.wait(job.id, timeout_s=120)
    thread.join()
    assert done.state == "succeeded"


def test_wait_ends_as_unavailable_when_nobody_comes_back():
    with Client("http://127.0.0.1:9") as nobody, pytest.raises(ServiceUnavailable) as raised:
        nobody.wait("job_x", timeout_s=0.5)
    assert "STERNA_URL" in raised.value.hint


def test_events_all_and_followed(client, server, tiny):
    job = client.submit(tiny.model, tiny.data, SPEC)
    lease = server.claim(job.id)
    server.ledger.record(lease, [PhaseChange(phase="search")])
    assert [event.body.kind for event in client.events(job.id)] == ["state", "state", "phase"]
    assert [event.id for event in client.events(job.id, after=2)] == [3]

    timer = threading.Timer(0.7, lambda: server.finish(lease, CONTENT))
    timer.start()
    followed = list(client.events(job.id, follow=True))
    timer.join()
    assert [event.id for event in followed] == [1, 2, 3, 4]
    assert followed[-1].body.state == "succeeded"


def test_cancel_stop_and_their_conflicts(client, server, tiny):
    job = client.submit(tiny.model, tiny.data, SPEC)
    with pytest.raises(Conflict):
        client.stop(job.id)
    assert client.cancel(job.id).state == "cancelled"
    with pytest.raises(Conflict):
        client.cancel(job.id)

    running = client.submit(tiny.model, tiny.data, SPEC)
    server.claim(running.id)
    assert client.stop(running.id).state == "running"


def test_a_sweep_is_cancelled_stopped_and_deleted(client, server, tiny):
    for order in (client.cancel_sweep, client.stop_sweep):
        sweep = client.submit_sweep(tiny.model, tiny.data, {"targets": [0.5, 0.75]})
        lease = server.claim(sweep.points[0].job_id)
        assert [point.state for point in order(sweep.id).points] == ["running", "cancelled"]
        with pytest.raises(Conflict):
            client.delete_sweep(sweep.id)
        server.ledger.cancelled(lease)
        with pytest.raises(Conflict):
            order(sweep.id)
        client.delete_sweep(sweep.id)
        for gone in (client.sweep, client.delete_sweep, order):
            with pytest.raises(NotFound):
                gone(sweep.id)


def test_list_by_label_through_pages(client, tiny, monkeypatch):
    ids = [client.submit(tiny.model, tiny.data, SPEC, labels={"run": "7"}).id for _ in range(3)]
    client.submit(tiny.model, tiny.data, SPEC)
    get = client._connection.get

    def small_pages(path, answer, *, params):
        return get(path, answer, params=params | {"page_size": 2})

    monkeypatch.setattr(client._connection, "get", small_pages)
    assert [job.id for job in client.jobs(labels={"run": "7"})] == ids[::-1]
    assert [job.id for job in client.jobs(labels={"run": "7"}, limit=2)] == ids[:0:-1]
    assert all(job.state == "queued" for job in client.jobs(states=["queued"]))


def test_download_from_the_real_service(client, server, tiny, tmp_path):
    job = client.submit(tiny.model, tiny.data, SPEC)
    server.finish(server.claim(job.id), CONTENT)

    path = client.download(job.id, "model.sterna", tmp_path)

    assert path == tmp_path / "model.sterna"
    assert path.read_bytes() == CONTENT
    with pytest.raises(NotFound, match=r"there are: model\.sterna"):
        client.download(job.id, "model.onnx", tmp_path)


@pytest.mark.parametrize("job_id", ["job_" + "0" * 32, "../uploads", "a/b?c#d"])
def test_an_unknown_job_is_not_found(client, job_id):
    with pytest.raises(NotFound):
        client.job(job_id)


@pytest.mark.parametrize("url", ["ftp://host", "127.0.0.1:8000", "http://[::1"])
def test_an_odd_address_is_a_usage_error(url):
    with pytest.raises(InvalidSpec), Client(url) as client:
        client.job("job_x")


def test_estimate_retry_log_and_delete(client, server, tiny):
    assert client.estimate(tiny.model, tiny.data, SPEC).ternarisable_weights == 4 * 8 + 8 * 2
    job = client.submit(tiny.model, tiny.data, SPEC)
    client.cancel(job.id)
    again = client.retry(job.id)
    assert (again.state, again.attempt) == ("queued", 2)
    lease = server.claim(job.id)
    server.ledger.keep_log(lease, "words\n")
    assert client.log(job.id) == "words\n"
    server.ledger.cancelled(lease)
    client.delete(job.id)
    with pytest.raises(NotFound):
        client.job(job.id)
