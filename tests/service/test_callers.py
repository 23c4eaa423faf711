import time

import pytest

from api_schemas import JobSpec, UploadRequest
from api_schemas.sweeps import SweepSpec

NOBODY = f"job_{'0' * 32}"
NOWHERE = f"swp_{'0' * 32}"
CALLS = [
    ("GET", "/v1/jobs", "read"),
    ("GET", f"/v1/jobs/{NOBODY}", "read"),
    ("GET", f"/v1/jobs/{NOBODY}/events", "read"),
    ("GET", f"/v1/jobs/{NOBODY}/logs", "read"),
    ("GET", f"/v1/jobs/{NOBODY}/artifacts", "read"),
    ("GET", f"/v1/jobs/{NOBODY}/artifacts/x", "read"),
    ("HEAD", f"/v1/jobs/{NOBODY}/artifacts/x", "read"),
    ("GET", "/v1/uploads/x", "read"),
    ("GET", "/v1/uploads/x/inspection", "read"),
    ("POST", "/v1/jobs", "submit"),
    ("POST", "/v1/jobs/estimate", "submit"),
    ("POST", "/v1/sweeps", "submit"),
    ("GET", f"/v1/sweeps/{NOWHERE}", "read"),
    ("POST", f"/v1/sweeps/{NOWHERE}/cancel", "submit"),
    ("POST", f"/v1/sweeps/{NOWHERE}/stop", "submit"),
    ("DELETE", f"/v1/sweeps/{NOWHERE}", "submit"),
    ("GET", "/v1/workers", "admin"),
    ("GET", "/metrics", "admin"),
    ("GET", "/v1/webhooks", "admin"),
    ("POST", "/v1/webhooks", "admin"),
    ("GET", "/v1/webhooks/x", "admin"),
    ("DELETE", "/v1/webhooks/x", "admin"),
    ("POST", "/v1/webhooks/x/secret", "admin"),
    ("GET", "/v1/webhooks/x/deliveries", "admin"),
    ("POST", "/v1/webhooks/x/deliveries/y/redeliver", "admin"),
    ("DELETE", f"/v1/jobs/{NOBODY}", "submit"),
    ("POST", f"/v1/jobs/{NOBODY}/cancel", "submit"),
    ("POST", f"/v1/jobs/{NOBODY}/stop", "submit"),
    ("POST", f"/v1/jobs/{NOBODY}/retry", "submit"),
    ("POST", "/v1/uploads", "submit"),
    ("PUT", "/v1/uploads/x/parts/0", "submit"),
    ("POST", "/v1/uploads/x/complete", "submit"),
]


@pytest.fixture(scope="module")
def keyed(tmp_path_factory, serving):
    """A service with keys, and those of two tenants."""
    with serving(tmp_path_factory.mktemp("keyed"), tenant_queued=2, tenant_bytes=100_000) as service:
        service.keys = {
            f"{tenant} {scope}": {
                "Authorization": f"Bearer {service.ledger.create_key(tenant=tenant, name='n', scope=scope)[1]}"
            }
            for tenant in ("a", "b")
            for scope in ("read", "submit", "admin")
        }
        service.backends.keys.needed = True
        yield service


@pytest.mark.parametrize(("method", "path", "scope"), CALLS)
def test_every_call_needs_a_key_with_its_scope(keyed, method, path, scope):
    def ask(**headers):
        return keyed.http.request(method, path, headers=headers)

    for headers in ({}, {"Authorization": "Bearer sterna_wrong"}, {"Authorization": "Basic eDp5"}):
        answer = ask(**headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert method == "HEAD" or answer.json()["code"] == "UNAUTHENTICATED"
    for held in ("read", "submit", "admin"):
        answer = ask(**keyed.keys[f"a {held}"])
        allowed = ("read", "submit", "admin").index(held) >= ("read", "submit", "admin").index(scope)
        assert (answer.status_code == 403) == (not allowed)
        assert answer.headers["ratelimit"].startswith('"requests";r=')


def test_what_says_that_the_service_lives_needs_no_key(keyed):
    assert keyed.http.get("/livez").status_code == 200
    assert keyed.http.get("/openapi.json").status_code == 200
    assert keyed.http.get("/readyz").status_code == 503


def test_another_tenants_things_are_not_there(keyed, refused):
    def headers(tenant):
        return keyed.keys[f"{tenant} submit"]

    wanted = UploadRequest(filename="f", bytes=7, sha256=keyed.blob(b"content"))
    upload = keyed.ledger.create_upload(wanted, part_bytes=10, complete=True, tenant="a")
    job = keyed.ledger.submit(JobSpec(model=upload.id, target_sparsity=0.5), tenant="a")
    sweep, _ = keyed.ledger.create_sweep(SweepSpec(model=upload.id, targets=(0.5,)), tenant="a")
    for method, path, _ in CALLS:
        own = path.replace(NOBODY, job.id).replace(NOWHERE, sweep.id).replace("/x", f"/{upload.id}")
        if own != path and method != "HEAD" and "/webhooks/" not in path:
            refused(keyed.http.request(method, own, headers=headers("b")), 404, "NOT_FOUND")
    assert keyed.http.get("/v1/jobs", headers=headers("b")).json()["jobs"] == []
    assert keyed.http.get(f"/v1/jobs/{job.id}", headers=headers("a")).json()["state"] == "queued"
    assert keyed.http.get(f"/v1/sweeps/{sweep.id}", headers=headers("a")).json()["points"][0]["state"] == "queued"
    # Knowing a digest is not having the file.
    foreign = keyed.http.post("/v1/uploads", json=wanted.model_dump(), headers=headers("b"))
    assert (foreign.status_code, foreign.json()["missing_parts"]) == (201, [0])
    body = {"model": upload.id, "target_sparsity": 0.5}
    problem = refused(keyed.http.post("/v1/jobs", json=body, headers=headers("b")), 422, "INVALID_SPEC")
    assert problem["errors"][0]["pointer"] == "/model"
    keyed.ledger.request(job.id, "cancel", tenant="a")
    keyed.ledger.request_sweep(sweep.id, "cancel", tenant="a")


def test_a_revoked_key_opens_nothing_from_its_next_use_on(keyed, refused):
    made, key = keyed.ledger.create_key(tenant="a", name="n", scope="read")
    headers = {"Authorization": f"Bearer {key}"}
    assert keyed.http.get("/v1/jobs", headers=headers).status_code == 200
    keyed.ledger.revoke_key(made.id)
    refused(keyed.http.get("/v1/jobs", headers=headers), 401, "UNAUTHENTICATED")


def test_quotas_are_told_with_the_time_to_come_back(keyed, tiny, refused):
    headers = keyed.keys["b submit"]
    model = {"spec": (None, '{"target_sparsity": 0.5}'), "model": tiny.model.read_bytes()}
    answers = [keyed.http.post("/v1/jobs", files=model, headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    refused(answers[2], 429, "QUOTA_EXCEEDED")
    assert int(answers[2].headers["retry-after"]) > 0
    large = {"filename": "f", "bytes": 100_000, "sha256": "0" * 64}
    refused(keyed.http.post("/v1/uploads", json=large, headers=headers), 429, "QUOTA_EXCEEDED")


def test_too_many_requests_are_told_when_to_come_back(serve, refused):
    with serve(requests_per_minute=3) as service:
        _, key = service.ledger.create_key(tenant="a", name="n", scope="read")
        service.backends.keys.needed = True
        headers = {"Authorization": f"Bearer {key}"}
        answers = [service.http.get("/v1/jobs", headers=headers) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        refused(answers[3], 429, "RATE_LIMITED")
        assert 0 < int(answers[3].headers["retry-after"]) <= 20
        assert [answer.headers["ratelimit"][:14] for answer in answers] == [f'"requests";r={n}' for n in (2, 1, 0, 0)]
        assert answers[0].headers["ratelimit-policy"] == '"requests";q=3;w=60'


def test_the_first_key_closes_a_service_that_runs(serve):
    with serve() as service:
        assert service.http.get("/v1/jobs").status_code == 200
        assert "ratelimit" not in service.http.get("/v1/jobs").headers
        made, _ = service.ledger.create_key(tenant="a", name="n", scope="read")
        deadline = time.monotonic() + 60
        while service.http.get("/v1/jobs").status_code == 200 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert service.http.get("/v1/jobs").status_code == 401
        service.ledger.revoke_key(made.id)
        assert service.http.get("/v1/jobs").status_code == 401


def test_with_keys_the_service_has_any_name(keyed):
    headers = keyed.keys["a read"] | {"Host": "sterna.example", "Origin": "https://page.example"}
    assert keyed.http.get("/v1/jobs", headers=headers).status_code == 200


def test_every_answer_has_the_id_of_its_request(service):
    assert len(service.http.get("/v1/jobs").headers["x-request-id"]) == 32
    for path, status in (("/nowhere", 404), ("/v1/jobs", 200)):
        answer = service.http.get(path, headers={"X-Request-Id": "ci-42.a_b"})
        assert (answer.status_code, answer.headers["x-request-id"]) == (status, "ci-42.a_b")
    assert len(service.http.get("/livez", headers={"X-Request-Id": "no id"}).headers["x-request-id"]) == 32
