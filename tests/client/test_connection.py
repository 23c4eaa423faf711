"""A service that is away, a proxy that is none of its business, and answers that are lost."""

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sterna.cli.service_commands import service_client
from sterna.client import Client
from sterna.errors import AccessDenied, NotFound, ServiceUnavailable
from tests.servers.real_server import free_port


class Handler(BaseHTTPRequestHandler):
    """Answers as it is told, then as a service that has no such job; `None` breaks the connection."""

    def answer(self):
        length = int(self.headers.get("Content-Length", 0))
        self.rfile.read(length)
        self.server.asked.append((self.command, time.monotonic()))
        self.server.keys.append(self.headers.get("Idempotency-Key"))
        told = self.server.answers.pop(0) if self.server.answers else (404, {})
        if told is None:
            self.close_connection = True
            return
        status, headers = told
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = answer  # noqa: N815  the names that http.server looks for

    def log_message(self, *_):
        pass


@contextmanager
def serving(address="127.0.0.1"):
    with ThreadingHTTPServer((address, 0), Handler) as server:
        server.answers, server.asked, server.keys = [], [], []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.fixture
def client(server):
    with Client(f"http://127.0.0.1:{server.server_port}") as client:
        yield client


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "LOCALHOST"])
def test_this_machine_is_not_asked_through_a_proxy(host, monkeypatch):
    dead = f"http://127.0.0.1:{free_port()}"
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, dead)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving("0.0.0.0") as server, Client(f"http://{host}:{server.server_port}") as client:  # noqa: S104
        with pytest.raises(NotFound):
            client.job("job_x")
        assert len(server.asked) == 1


def test_elsewhere_the_proxy_of_the_environment_is_used(server, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    with Client("http://service.example") as client, pytest.raises(NotFound):
        client.job("job_x")
    assert len(server.asked) == 1


def test_a_service_that_is_away_says_when_to_come_back(server, client):
    server.answers = [(503, {"Retry-After": "2"}), None]
    with pytest.raises(NotFound):
        client.job("job_x")
    first, second, third = (at for _, at in server.asked)
    assert second - first >= 2.0
    assert third - second < 2.0


def test_one_that_stays_away_is_told_of(client, server):
    server.answers = [(503, {})] * 50
    with pytest.raises(ServiceUnavailable, match="503"):
        client.wait("job_x", timeout_s=3)
    assert len(server.asked) > 1


def test_a_lost_answer_to_a_submission_is_asked_for_again_under_the_same_key(client, server, tmp_path):
    server.answers = [None, (503, {}), None]
    model = tmp_path / "model.pt2"
    model.write_bytes(b"x")
    for _ in range(2):
        with pytest.raises(NotFound):
            client.submit(model, None, {"target_sparsity": 0.5})
    assert [command for command, _ in server.asked] == ["POST"] * 5
    first, second = server.keys[:4], server.keys[4:]
    assert len(set(first)) == len(set(second)) == 1
    assert None not in first
    assert first[0] != second[0]


def test_a_lost_answer_to_what_has_no_key_is_not_asked_for_again(client, server):
    server.answers = [None]
    with pytest.raises(ServiceUnavailable, match="may have done it all the same") as raised:
        client.cancel("job_x")
    assert [command for command, _ in server.asked] == ["POST"]
    assert "sterna list" in raised.value.hint


def test_a_submission_that_never_arrived_is_sent_again(tmp_path):
    model = tmp_path / "model.pt2"
    model.write_bytes(b"x")
    port = free_port()  # one that nobody takes before the server does
    servers = []

    def late():
        time.sleep(0.5)
        servers.append(ThreadingHTTPServer(("127.0.0.1", port), Handler))
        servers[0].answers, servers[0].asked, servers[0].keys = [], [], []
        servers[0].handle_request()

    thread = threading.Thread(target=late)
    thread.start()
    with Client(f"http://127.0.0.1:{port}") as client, pytest.raises(NotFound):
        client.submit(model, None, {"target_sparsity": 0.5})
    thread.join()
    servers[0].server_close()
    assert len(servers[0].asked) == 1


@pytest.mark.parametrize("key", ["a\nb", "schlüssel", "\x00"])
def test_a_key_that_no_header_can_hold_is_refused_without_repeating_it(key):
    with pytest.raises(AccessDenied) as raised:
        Client("http://127.0.0.1:8000", key)
    assert key not in str(raised.value) + raised.value.hint


def test_who_waits_for_a_service_that_is_away_is_told_so_once(server, monkeypatch, capsys):
    monkeypatch.setenv("STERNA_URL", f"http://127.0.0.1:{server.server_port}")
    server.answers[:] = [(503, {}), (503, {})]
    with service_client() as client, pytest.raises(NotFound):
        client.job("job_x")
    told = capsys.readouterr().err
    assert told.count("trying for") == 1
    assert "503" in told


def test_a_service_that_is_not_there_is_named(monkeypatch, capsys):
    address = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("STERNA_URL", address)
    with service_client() as client, pytest.raises(ServiceUnavailable):
        client.wait("job_x", timeout_s=0.2)
    assert f"{address} does not answer" in capsys.readouterr().err
