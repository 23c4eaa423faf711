"""Pages of other sites, against a real server: nothing of theirs is obeyed, nothing of ours is in the way."""

import pytest


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "10.0.0.7", "127.0.0.1.evil.example", "", "[::1"]
)
def test_a_name_that_is_not_ours_is_refused(service, host):
    answer = service.http.get("/v1/jobs", headers={"Host": host})
    assert answer.status_code in {400, 403}
    assert answer.status_code == 400 or answer.json()["code"] == "ACCESS_DENIED"


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1", "[::1]:8000"])
def test_names_of_this_machine_are_ours(service, host):
    assert service.http.get("/v1/jobs", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://localhost:1"},
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
