import json
import threading
import time

import pytest

from api_schemas import JobErrorInfo, ProgressPoint

STREAM = {"Accept": "text/event-stream"}


def read_stream(lines):
    """A reader of server-sent events of its own: (id, event, data) of each block, until `end`."""
    fields = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif "event" in fields:
            yield fields.get("id"), fields["event"], json.loads(fields["data"])
            if fields["event"] == "end":
                return
            fields = {}


@pytest.fixture
def stream(service):
    def follow(job, **headers):
        with service.http.stream("GET", f"/v1/jobs/{job.id}/events", headers=STREAM | headers) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["cache-control"] == "no-store"
            yield from read_stream(answer.iter_lines())

    return follow


@pytest.fixture
def ended(service):
    job = service.queued()
    lease = service.claim(job)
    service.ledger.record(lease, [ProgressPoint(step=1, steps=2, lambda_=3.0)])
    service.ledger.fail(lease, JobErrorInfo(code="OUT_OF_MEMORY", message="m"))
    return job


def test_a_job_that_has_ended_is_told_to_the_end(service, ended, stream):
    events = list(stream(ended))
    listed = service.http.get(f"/v1/jobs/{ended.id}/events").json()["events"]
    assert [data for _, _, data in events[:-1]] == listed
    assert [kind for _, kind, _ in events] == ["state", "state", "progress", "state", "end"]
    assert [number for number, _, _ in events[:-1]] == ["1", "2", "3", "4"]


def test_a_stream_goes_on_where_it_broke_off(ended, stream):
    assert [number for number, _, _ in stream(ended, **{"Last-Event-ID": "2"})][:2] == ["3", "4"]


@pytest.mark.parametrize("number", ["-1", "x", "9" * 30, "1.5", ""])
def test_a_number_that_is_none_of_ours_begins_anew(ended, stream, number):
    assert next(iter(stream(ended, **{"Last-Event-ID": number})))[0] == "1"


def test_after_the_end_nobody_needs_to_come_back(service, ended):
    address = f"/v1/jobs/{ended.id}/events"
    answer = service.http.get(address, headers=STREAM | {"Last-Event-ID": "4"})
    assert (answer.status_code, answer.content) == (204, b"")


def test_events_come_as_they_happen(service, stream):
    job = service.queued()
    seen, told = [], threading.Event()

    def work():
        lease = service.claim(job)
        service.ledger.record(lease, [ProgressPoint(step=1, steps=2)])
        assert told.wait(10)  # the client has it while the job still runs
        service.finish(lease)

    worker = threading.Thread(target=work)
    worker.start()
    for _, kind, _ in stream(job):
        seen.append(kind)
        if kind == "progress":
            told.set()
    worker.join()
    assert seen == ["state", "state", "progress", "state", "end"]


def test_many_streams_hold_no_threads(service, stream):
    job = service.queued()
    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(len(list(stream(job))))) for _ in range(50)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    # Were all threads held, this would be answered after the streams, which is never: the client gives up.
    assert service.http.post(f"/v1/jobs/{job.id}/cancel").status_code == 200
    for thread in threads:
        thread.join()
    assert counts == [3] * 50


def test_a_job_that_is_deleted_ends_its_streams(service, stream):
    job = service.queued()
    seen = iter(stream(job))
    assert next(seen)[1] == "state"
    service.ledger.request(job.id, "cancel")
    service.ledger.delete_job(job.id)
    assert [kind for _, kind, _ in seen] in ([], ["state"], ["state", "end"])


def test_an_unknown_job_is_a_problem_and_no_stream(service, refused):
    refused(service.http.get(f"/v1/jobs/job_{'0' * 32}/events", headers=STREAM), 404, "NOT_FOUND")
