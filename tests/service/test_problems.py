import inspect

import httpx
import pytest
from fastapi import FastAPI

from service.problems import STATUS_OF, add_problem_handlers
from sterna import errors


def test_paths_and_methods_that_do_not_exist(service, refused):
    refused(service.http.get("/nowhere"), 404, "NOT_FOUND")
    refused(service.http.get("/v1/jobs/"), 404, "NOT_FOUND")
    answer = service.http.put("/v1/jobs")
    refused(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert "GET, HEAD, POST" in answer.json()["hint"]
    assert service.http.put("/v1/jobs/estimate").headers["allow"] == "POST"
    address = f"/v1/jobs/{service.queued().id}/artifacts/x"
    assert service.http.delete(address).headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"filename": "\\ud800", "bytes": 1, "sha256": "' + b"0" * 64 + b'"}',
        b'{"\\ud800": 1}',
        b'{"bytes": ' + b"9" * 10_000 + b"}",
        b'{"bytes": NaN}',
        b"null",
    ],
)
@pytest.mark.parametrize("path", ["/v1/uploads", "/v1/jobs"])
def test_no_body_makes_a_fault(service, refused, path, body):
    answer = service.http.post(path, content=body, headers={"Content-Type": "application/json; charset=utf-8"})
    refused(answer, 422, "INVALID_SPEC")


@pytest.mark.parametrize("name", ["%00", "%ff", "..%2f..%2f", "a" * 3000, "%F0%9F%A6%89"])
def test_no_path_makes_a_fault(service, refused, name):
    for path in (
        f"/v1/jobs/{name}",
        f"/v1/uploads/{name}",
        f"/v1/jobs/{name}/artifacts/{name}",
        f"/v1/jobs/{name}/events",
    ):
        refused(service.http.get(path), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    "headers",
    [
        {"Prefer": "wait=-1"},
        {"Prefer": "wait=1e9"},
        {"Prefer": "wait="},
        {"Prefer": b"wait=\xff"},
        {"If-None-Match": b"\xff"},
    ],
)
def test_odd_headers_are_passed_over(service, headers):
    answer = service.http.get(f"/v1/jobs/{service.queued().id}", headers=headers)
    assert answer.status_code == 200
    assert "preference-applied" not in answer.headers


def test_every_error_of_files_and_requests_has_a_status():
    """The errors that a request can cause, each with the status that the tree in `sterna.errors` promises."""
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    for kind in kinds:
        status = next((status for parent, status in STATUS_OF if issubclass(kind, parent)), None)
        if issubclass(kind, errors.InputError | errors.IdempotencyKeyReused | errors.TargetUnreachable):
            assert status == 422
        elif issubclass(kind, errors.InvalidSpec):
            assert status in {400, 405, 408, 413, 415, 416, 422}
        elif issubclass(kind, errors.JobError):
            assert status is None  # a job's error is told by the job, never by an answer


@pytest.fixture
def broken() -> FastAPI:
    app = FastAPI()
    add_problem_handlers(app)

    @app.get("/bug")
    async def bug() -> None:
        raise KeyError("secret of the house")

    @app.get("/disk")
    async def disk() -> None:
        raise OSError("no space left in /secret/folder")

    return app


@pytest.mark.parametrize(
    ("path", "status", "code"), [("/bug", 500, "INTERNAL_ERROR"), ("/disk", 503, "SERVICE_UNAVAILABLE")]
)
def test_a_fault_tells_nothing_of_the_inside(broken, refused, path, status, code):
    import asyncio  # noqa: PLC0415 - this one needs no server

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(broken, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path)

    answer = asyncio.run(ask())
    refused(answer, status, code)
    assert "secret" not in answer.text


def test_a_wrong_field_says_what_was_found_what_is_allowed_and_where_to_look(service):
    spec = '{"target_sparsity": 1.5, "seed": "' + "x" * 500 + '", "extra": 1}'
    answer = service.http.post("/v1/jobs", files={"model": b"x", "spec": (None, spec)}).json()
    details = {field["pointer"]: field["detail"] for field in answer["errors"]}
    assert details["/target_sparsity"] == "Input should be less than 1, found 1.5"
    assert "x" * 60 not in details["/seed"]
    assert details["/extra"] == "Extra inputs are not permitted"


@pytest.mark.parametrize(
    ("spec", "pointer", "meant"),
    [
        ('{"sparsity": 0.5}', "/sparsity", "target_sparsity"),
        ('{"target_sparsity": 0.5, "budget": {"epoch": 3}}', "/budget/epoch", "epochs"),
        ('{"target_sparsity": 0.5, "acceptance": {"maxdrop": 0.1}}', "/acceptance/maxdrop", "max_drop"),
        ('{"target_sparsity": 0.5, "zzz": {"a": 0.1}}', "/zzz", None),
    ],
)
def test_an_unknown_field_names_the_one_that_was_meant(service, refused, spec, pointer, meant):
    answer = refused(service.http.post("/v1/jobs", files={"model": b"x", "spec": (None, spec)}), 422, "INVALID_SPEC")
    [told] = [field["detail"] for field in answer["errors"] if field["pointer"] == pointer]
    assert told == "Extra inputs are not permitted" + (f"; did you mean {meant}?" if meant else "")
    assert meant is None or meant in answer["detail"]


@pytest.mark.parametrize(
    "spec",
    [
        '{"target_sparsity": 0.9, "target_sparsity": 0.5}',
        '{"target_sparsity": 0.9, "labels": {"team": "a", "t\\u0065am": "b"}}',
    ],
)
def test_a_name_that_is_there_twice_is_refused(service, refused, spec):
    form = service.http.post("/v1/jobs", files={"model": b"x", "spec": (None, spec)})
    assert "twice" in refused(form, 422, "INVALID_SPEC")["detail"]
    whole = f'{{"model": "upl_{"0" * 32}", {spec[1:]}'
    sent = service.http.post("/v1/jobs", content=whole, headers={"Content-Type": "application/json"})
    assert "twice" in refused(sent, 422, "INVALID_SPEC")["detail"]


@pytest.mark.parametrize(
    "path", ["/livez", "/v1/jobs", "/metrics", "/openapi.json", "/v1/jobs/{job}", "/v1/jobs/{job}/events"]
)
def test_head_is_get_without_a_body(service, path):
    path = path.format(job=service.queued().id)
    got, headed = service.http.get(path), service.http.head(path)
    assert (headed.status_code, headed.content) == (200, b"")
    assert headed.headers["content-type"] == got.headers["content-type"]


def test_head_of_what_has_no_get_is_refused(service):
    assert service.http.head(f"/v1/jobs/{service.queued().id}/cancel").status_code == 405
    assert service.http.head("/nowhere").status_code == 404


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({"Content-Type": "multipart/form-data"}, b"x"),
        ({"Content-Type": "multipart/form-data; boundary=b"}, b"x"),
        ({"Content-Type": "multipart/form-data; boundary=b"}, b"--b\r\nContent-Disposition: form-data; name=spec"),
    ],
)
def test_a_form_that_is_none_is_told_what_to_do(service, refused, headers, content):
    refused(service.http.post("/v1/jobs", headers=headers, content=content), 400, "MALFORMED_REQUEST")


def test_the_end_of_a_wrong_field_is_the_document(service):
    answer = service.http.post("/v1/jobs", files={"model": b"x", "spec": (None, '{"target_sparsity": 2}')}).json()
    assert "/openapi.json" in answer["hint"]
