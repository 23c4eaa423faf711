"""A service of a later version, with states, phases and events that this client has not heard of."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sterna.cli.service_commands import event_text
from sterna.client import Client

AT = "2026-01-01T00:00:00Z"


def a_job(state, phase):
    spec = {"model": "upl_" + "0" * 32, "target_sparsity": 0.5, "method": "magic", "new": True}
    return {
        "id": "job_1", "state": state, "phase": phase, "attempt": 1, "created_at": AT, "spec": spec, "labels": {},
        "progress": {}, "latest": {}, "new": 1,
    }  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.endswith("/events?after=0"):
            told = {"events": [{"id": 1, "at": AT, "body": {"kind": "heat", "kelvin": 300}}], "final": True}
        else:
            told = self.server.jobs.pop(0)
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def newer():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        with Client(f"http://127.0.0.1:{server.server_port}") as client:
            yield server, client
        server.shutdown()
        thread.join()


def test_an_unknown_state_is_not_final(newer):
    server, client = newer
    server.jobs = [a_job("paused", "distilling"), a_job("succeeded", None)]
    seen = []
    assert client.wait("job_1", timeout_s=10, on_update=seen.append).state == "succeeded"
    assert [(job.state, job.phase) for job in seen] == [("paused", "distilling"), ("succeeded", None)]


def test_an_unknown_event_is_shown_by_its_kind(newer):
    _, client = newer
    (event,) = client.events("job_1")
    assert event_text(event).split() == ["1", "2026-01-01", "00:00:00", "heat"]
