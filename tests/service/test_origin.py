"""Pages of other sites, against a real server: nothing of theirs is obeyed, nothing of ours is in the way."""

import pytest

FOREIGN = [
    "evil.example",
    "evil.example:8000",
    "10.0.0.7",
    "127.0.0.1.evil.example",
    "",
    "localhost.",
    "ours.example.evil",
]
MALFORMED = [
    "[::1", "[", "]", "[]", "::1", "[::1]x", "[127.0.0.1", "127.0.0.1:abc", "127.0.0.1:999999", "user@127.0.0.1",
    "127.0.0.1/evil", "127.0.0.1#@evil", "127.0.0.1 evil", "127.0.0.1\\evil", b"127.0.0.1\xff", b"\xb2", "[::1%25lo]",
]  # fmt: skip


@pytest.mark.parametrize("host", FOREIGN + MALFORMED)
def test_a_name_that_is_not_ours_is_refused(service, refused, host):
    refused(service.http.get("/v1/jobs", headers={"Host": host}), 403, "ACCESS_DENIED")
    refused(service.http.get("/nowhere", headers={"Host": host}), 403, "ACCESS_DENIED")


def test_names_that_were_given_are_ours_in_any_case(serve):
    with serve(allowed_hosts=("Ours.Example",)) as service:
        for host in ("ours.example", "OURS.example:8000"):
            assert service.http.get("/v1/jobs", headers={"Host": host}).status_code == 200
        assert service.http.get("/v1/jobs", headers={"Host": "ours.example.evil"}).status_code == 403


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "LocalHost:8000", "127.0.0.1", "127.0.0.1:", "[::1]:8000"]
)
def test_names_of_this_machine_are_ours(service, host):
    assert service.http.get("/v1/jobs", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://localhost:1"},
        {"Origin": "http://["},
        {"Origin": "http://[::1"},
        {"Origin": b"\xff"},
        {"Origin": "://"},
        {"Sec-Fetch-Site": "Cross-Site"},
    ],
)
def test_a_form_of_another_origin_makes_no_job(service, headers):
    files = {"model": b"x", "spec": (None, '{"target_sparsity": 0.5}')}
    before = service.http.get("/v1/jobs").json()["jobs"]
    answer = service.http.post("/v1/jobs", files=files, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "ACCESS_DENIED")
    assert "another origin" in answer.json()["detail"]
    assert service.http.get("/v1/jobs").json()["jobs"] == before


def test_our_own_page_may_ask(service):
    own = str(service.http.base_url).rstrip("/")
    answer = service.http.post("/v1/jobs", json={}, headers={"Origin": own, "Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 422


def test_case_does_not_make_another_origin(service):
    port = service.http.base_url.port
    for host, origin in (("LOCALHOST", "http://localhost"), ("localhost", "HTTP://LOCALHOST")):
        headers = {"Host": f"{host}:{port}", "Origin": f"{origin}:{port}"}
        assert service.http.post("/v1/jobs", json={}, headers=headers).status_code == 422
