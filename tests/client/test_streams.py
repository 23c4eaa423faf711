"""Streams of events from a server that breaks them, that has none, and from the real one."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import sterna.client.streams
from api_schemas import CompressSpec, ProgressPoint
from sterna.client import Client

AT = "2026-01-01T00:00:00Z"


def event(number, **body):
    return {"id": number, "at": AT, "body": body}


def message(number, **body):
    told = json.dumps(event(number, **body))
    return f"event: {body['kind']}\nid: {number}\ndata: {told}\n\n"


def state(number, word):
    return message(number, kind="state", state=word, attempt=1)


class Handler(BaseHTTPRequestHandler):
    """Tells its parts of the stream, one a connection; what is asked for as a list is always empty."""

    def do_GET(self):
        stream = self.headers["Accept"] == "text/event-stream"
        self.server.asked.append(("stream" if stream else "list", self.path, self.headers.get("Last-Event-ID")))
        if stream and self.server.parts:
            self.tell("text/event-stream; charset=utf-8", self.server.parts.pop(0))
        elif "/events" in self.path:
            pages = self.server.pages
            page = pages.pop(0) if pages else {"events": [], "final": not self.server.parts}
            self.tell("application/json", json.dumps(page))
        else:
            self.tell("application/json", json.dumps(self.server.jobs.pop(0)))

    def tell(self, media_type, text):
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.end_headers()  # no length: the end of the connection is the end of the answer
        if isinstance(text, float):
            time.sleep(text)
            return
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


@contextmanager
def telling(parts, pages=(), jobs=()):
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.parts, server.pages, server.jobs, server.asked = list(parts), list(pages), list(jobs), []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            with Client(f"http://127.0.0.1:{server.server_port}") as client:
                yield server, client
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(sterna.client.streams, "POLL_S", 0.01)


def test_a_stream_that_breaks_off_is_resumed_after_the_last_event():
    half = message(3, kind="phase", phase="search")
    parts = [
        "retry: 2000\n\n" + state(1, "queued") + ": still here\n\n" + state(2, "running") + half[: len(half) // 2],
        half + state(4, "succeeded") + "event: end\ndata: {}\n\n",
    ]
    with telling(parts) as (server, client):
        followed = list(client.events("job_1", follow=True))
    assert [one.id for one in followed] == [1, 2, 3, 4]
    assert [last for how, _, last in server.asked if how == "stream"] == ["0", "2"]
    assert [path for how, path, _ in server.asked if how == "list"][-1].endswith("after=4")


def test_data_in_several_lines_and_fields_that_nobody_knows():
    cut = json.dumps(event(7, kind="phase", phase="pack")).replace(', "body"', ',\ndata:"body"')
    parts = [f"x-new: 1\nid: 7\nevent: phase\ndata: {cut}\n\n"]
    with telling(parts) as (_, client):
        (only,) = client.events("job_1", follow=True)
    assert (only.id, only.body.phase) == (7, "pack")


@pytest.mark.parametrize("broken", ["event: state\ndata: {nonsense\n\n", 0.6])
def test_what_is_no_stream_or_is_kept_back_by_a_proxy_is_polled(broken, monkeypatch):
    monkeypatch.setattr(sterna.client.streams, "SILENCE_S", 0.2)
    monkeypatch.setattr("sterna.client.client.POLL_S", 0.01)
    pages = [
        {"events": [], "final": False},
        {"events": [event(1, kind="state", state="queued", attempt=1)], "final": False},
        {"events": [event(2, kind="state", state="failed", attempt=1)], "final": True},
    ]
    with telling([broken], pages) as (server, client):
        assert [one.id for one in client.events("job_1", follow=True)] == [1, 2]
    assert [how for how, _, _ in server.asked] == ["list", "stream", "list", "list"]


def test_followed_from_the_real_service_through_a_restart(client, server, tiny):
    job = client.submit(tiny.model, tiny.data, CompressSpec(target_sparsity=0.5))
    lease = server.claim(job.id)
    seen = threading.Event()

    def go_on():
        seen.wait(30)
        server.kill()
        server.ledger.record(lease, [ProgressPoint(step=9, steps=9)])
        server.finish(lease, b"content")
        server.start()

    thread = threading.Thread(target=go_on)
    thread.start()
    numbers = []
    for one in client.events(job.id, follow=True):
        numbers.append(one.id)
        if one.id == 2:
            seen.set()
    thread.join()
    assert numbers == [1, 2, 3, 4]
