"""Bodies that stop in the middle and bodies that are too large, against a real server."""

import socket

import pytest

from service import bodies


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x"])
def test_a_sender_that_falls_silent_is_not_waited_for(service, monkeypatch, kind):
    monkeypatch.setattr(bodies, "_SILENCE_S", 0.3)
    address = (service.http.base_url.host, service.http.base_url.port)
    with socket.create_connection(address, timeout=60) as connection:
        connection.sendall(
            f"POST /v1/jobs HTTP/1.1\r\nHost: {address[0]}\r\n"
            f"Content-Type: {kind}\r\nContent-Length: 10\r\n\r\n{{".encode()
        )
        answer = b"".join(iter(lambda: connection.recv(65536), b""))  # to its end: the connection is closed
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"REQUEST_TIMEOUT" in answer
    assert service.http.get("/livez").status_code == 200


def test_a_body_that_is_too_large_is_refused_in_words(service, refused):
    body = b" " * (20 * 2**20)
    headers = {"Content-Type": "application/json"}
    refused(service.http.post("/v1/jobs", content=body, headers=headers), 413, "REQUEST_TOO_LARGE")
