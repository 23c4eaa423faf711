"""Downloads from a server that breaks connections, lies and forgets ranges."""

import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import sterna.client.downloads
from api_schemas import ArtifactList, ArtifactRef
from sterna.client import Client
from sterna.errors import ArtifactDigestMismatch, InvalidSpec, ServiceUnavailable

CONTENT = bytes(range(256)) * 2000


class Server(ThreadingHTTPServer):
    """Serves one artifact; `cuts` are the numbers of bytes after which successive answers break off."""

    def __init__(self, announced):
        super().__init__(("127.0.0.1", 0), Handler)
        self.announced = announced
        self.content = CONTENT
        self.cuts = []
        self.knows_ranges = True
        self.ranges = []
        self.away = 0


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        if self.path.endswith("/artifacts"):
            body = ArtifactList(artifacts=(server.announced,)).model_dump_json().encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        if server.away:
            server.away -= 1
            self.send_response(503)
            self.send_header("Retry-After", "1")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        asked = self.headers.get("Range")
        server.ranges.append((asked, self.headers.get("If-Range")))
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.knows_ranges else 0
        rest = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        cut = server.cuts.pop(0) if server.cuts else len(rest)
        self.wfile.write(rest[:cut])

    def log_message(self, *_):
        pass


@contextmanager
def serving(announced):
    with Server(announced) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            with Client(f"http://127.0.0.1:{server.server_port}") as client:
                yield server, client
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def place(sha256):
    artifact = ArtifactRef(name="m.sterna", sha256=sha256(CONTENT), bytes=len(CONTENT), media_type="x/y")
    with serving(artifact) as both:
        yield both


def leftovers(folder):
    return [entry.name for entry in folder.iterdir()]


def test_a_broken_download_goes_on_where_it_broke(place, tmp_path, sha256):
    server, client = place
    server.cuts = [100_000, 50_000, 1]
    heard = []

    client.download("job_x", "m.sterna", tmp_path / "m", on_progress=lambda *done: heard.append(done))

    assert (tmp_path / "m").read_bytes() == CONTENT
    assert leftovers(tmp_path) == ["m"]
    etag = f'"{sha256(CONTENT)}"'
    assert server.ranges == [
        (None, None),
        ("bytes=100000-", etag),
        ("bytes=150000-", etag),
        ("bytes=150001-", etag),
    ]
    assert heard[-1] == (len(CONTENT), len(CONTENT))


def test_a_service_that_is_away_is_asked_again(place, tmp_path, monkeypatch):
    server, client = place
    server.away = 1
    client.download("job_x", "m.sterna", tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == CONTENT

    monkeypatch.setattr(sterna.client.downloads, "PATIENCE_S", 0.3)
    server.away = 1000
    with pytest.raises(ServiceUnavailable, match="503"):
        client.download("job_x", "m.sterna", tmp_path / "m2")
    assert leftovers(tmp_path) == ["m"]


def test_a_server_without_ranges_is_begun_again(place, tmp_path):
    server, client = place
    server.cuts, server.knows_ranges = [100_000], False

    client.download("job_x", "m.sterna", tmp_path / "m")

    assert (tmp_path / "m").read_bytes() == CONTENT


@pytest.mark.parametrize("wrong", [CONTENT[:-1] + b"?", CONTENT + b"more"])
def test_other_bytes_leave_the_old_file_alone(place, tmp_path, wrong):
    server, client = place
    server.content = wrong
    (tmp_path / "m").write_bytes(b"old")

    with pytest.raises(ArtifactDigestMismatch, match="announced"):
        client.download("job_x", "m.sterna", tmp_path / "m")

    assert (tmp_path / "m").read_bytes() == b"old"
    assert leftovers(tmp_path) == ["m"]


def test_what_is_no_file_is_not_replaced_and_a_link_not_followed(place, tmp_path):
    _, client = place
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidSpec, match="no regular file"):
        client.download("job_x", "m.sterna", tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()

    (tmp_path / "precious").write_bytes(b"mine")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    client.download("job_x", "m.sterna", tmp_path / "link")
    assert (tmp_path / "precious").read_bytes() == b"mine"
    assert (tmp_path / "link").read_bytes() == CONTENT
    assert not (tmp_path / "link").is_symlink()


def test_a_download_that_does_not_move_ends(place, tmp_path, monkeypatch):
    monkeypatch.setattr(sterna.client.downloads, "PATIENCE_S", 0.5)
    server, client = place
    server.cuts = [1000] + [0] * 1000

    with pytest.raises(ServiceUnavailable):
        client.download("job_x", "m.sterna", tmp_path / "m")

    assert leftovers(tmp_path) == []
