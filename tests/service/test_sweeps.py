import pytest


@pytest.fixture(scope="session")
def model(shared, tiny):
    return shared.upload(tiny.model.read_bytes())


def test_a_sweep_is_made_and_looked_at(service, model, request):
    body = {"model": model, "targets": [0.75, 0.5], "labels": {"t": "sweep"}}
    headers = {"Idempotency-Key": request.node.name}
    answer = service.http.post("/v1/sweeps", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    sweep = answer.json()
    assert answer.headers["location"] == f"/v1/sweeps/{sweep['id']}"
    again = service.http.post("/v1/sweeps", json=body, headers=headers)
    assert (again.content, again.headers["idempotency-replayed"]) == (answer.content, "true")
    jobs = service.http.get("/v1/jobs", params={"label": "t=sweep"}).json()["jobs"]
    assert {job["id"] for job in jobs} == {point["job_id"] for point in sweep["points"]}
    assert {job["sweep_id"] for job in jobs} == {sweep["id"]}
    waiting = (service.folder / "data" / "queue" / "messages").iterdir()
    assert sum(any(job["id"] in path.name for job in jobs) for path in waiting) == 2
    by_target = {job["spec"]["target_sparsity"]: service.ledger.job(job["id"]) for job in jobs}
    service.finish(service.claim(by_target[0.5]))
    found = service.http.get(answer.headers["location"]).json()
    assert [(point["state"], point["pareto"]) for point in found["points"]] == [("succeeded", True), ("queued", False)]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"targets": []}, "/targets"),
        ({"targets": [0.5, 2]}, "/targets/1"),
        ({"targets": "0.5"}, "/targets"),
        ({"target_sparsity": 0.5}, "/target_sparsity"),
        ({"model": "upl_" + "0" * 32}, "/model"),
        ({"data": "x"}, "/data"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_made(service, model, refused, change, pointer):
    before = len(service.http.get("/v1/jobs?page_size=200").json()["jobs"])
    answer = service.http.post("/v1/sweeps", json={"model": model, "targets": [0.5]} | change)
    assert refused(answer, 422, "INVALID_SPEC")["errors"][0]["pointer"] == pointer
    assert len(service.http.get("/v1/jobs?page_size=200").json()["jobs"]) == before


def test_a_target_that_so_few_weights_cannot_have(service, model, refused):
    answer = service.http.post("/v1/sweeps", json={"model": model, "targets": [0.5, 0.7]})
    refused(answer, 422, "TARGET_UNREACHABLE")


def test_an_unknown_sweep(service, refused):
    for sweep_id in ("swp_" + "0" * 32, "x", "%00"):
        refused(service.http.get(f"/v1/sweeps/{sweep_id}"), 404, "NOT_FOUND")
