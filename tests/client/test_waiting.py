"""Waiting by streams: how often the service is asked, what an update shows, and sweeps."""

import threading

import pytest

from api_schemas import CompressSpec, ProgressPoint
from api_schemas.events import PhaseChange
from sterna.errors import NotFound, WaitTimeout

SPEC = CompressSpec(target_sparsity=0.5)


def paths_asked(client):
    asked = []
    client._connection._http.event_hooks["request"].append(lambda request: asked.append(request.url.path))
    return asked


def test_a_silent_wait_is_one_stream_and_two_looks(client, server, tiny):
    job = client.submit(tiny.model, tiny.data, SPEC)
    lease = server.claim(job.id)
    asked = paths_asked(client)
    timer = threading.Timer(1.5, lambda: server.finish(lease, b"content"))
    timer.start()
    done = client.wait(job.id)
    timer.join()
    assert done.state == "succeeded"
    assert asked == [f"/v1/jobs/{job.id}", f"/v1/jobs/{job.id}/events", f"/v1/jobs/{job.id}"]


def test_updates_follow_the_events(client, server, tiny):
    job = client.submit(tiny.model, tiny.data, SPEC)
    lease = server.claim(job.id)
    seen = []
    moved = threading.Event()

    def work():
        for step in range(1, 60):
            server.ledger.record(lease, [PhaseChange(phase="search"), ProgressPoint(step=step, steps=60)])
            if moved.wait(0.1):
                break
        server.finish(lease, b"content")

    thread = threading.Thread(target=work)
    thread.start()

    def see(job):
        seen.append(job.progress.step)
        if len(set(seen)) >= 3:
            moved.set()

    assert client.wait(job.id, on_update=see).state == "succeeded"
    thread.join()
    assert seen == sorted(seen)
    assert moved.is_set()


def test_an_attempt_that_failed_before_does_not_end_the_wait(client, server, tiny):
    job = client.submit(tiny.model, tiny.data, SPEC)
    client.cancel(job.id)
    client.retry(job.id)
    lease = server.claim(job.id)
    timer = threading.Timer(1.0, lambda: server.finish(lease, b"content"))
    timer.start()
    assert client.wait(job.id).state == "succeeded"
    timer.join()


def test_an_unknown_job_is_not_waited_for(client):
    with pytest.raises(NotFound):
        client.wait("job_" + "0" * 32)


def test_a_sweep_is_sent_once_and_waited_for(client, server, tiny, monkeypatch):
    monkeypatch.setattr("sterna.client.waiting._SWEEP_POLL_S", 0.1)
    sweep = client.submit_sweep(tiny.model, tiny.data, {"seed": 3, "targets": [0.5, 0.75]}, labels={"team": "vision"})
    assert [point.target_sparsity for point in sweep.points] == [0.5, 0.75]
    jobs = [client.job(point.job_id) for point in sweep.points]
    assert {(job.sweep_id, job.spec.seed, job.labels["team"]) for job in jobs} == {(sweep.id, 3, "vision")}
    with pytest.raises(WaitTimeout, match="0 of the 2 jobs"):
        client.wait_sweep(sweep.id, timeout_s=0)

    lease = server.claim(jobs[0].id)
    seen, told = [], threading.Event()

    def work():
        told.wait(60)
        server.finish(lease, b"content")
        client_cancel(server, jobs[1].id)

    worker = threading.Thread(target=work)
    worker.start()
    done = client.wait_sweep(sweep.id, timeout_s=120, on_update=lambda update: seen.append(update) or told.set())
    worker.join()
    assert [(point.state, point.pareto) for point in done.points] == [("succeeded", True), ("cancelled", False)]
    assert (seen[0].state, seen[-1]) == ("running", done)
    assert client.sweep(sweep.id) == done


def client_cancel(server, job_id):
    server.ledger.request(job_id, "cancel")
