import pytest

PART_BYTES = 70_000
CONTENT = b"0123456789" * 18_000
PARTS = [CONTENT[i : i + PART_BYTES] for i in range(0, len(CONTENT), PART_BYTES)]


def create(service, content: bytes, sha256: str, **fields):
    body = {"filename": "model.pt2", "bytes": len(content), "sha256": sha256} | fields
    return service.http.post("/v1/uploads", json=body)


@pytest.fixture
def content(request) -> bytes:
    """Content that no other test sends."""
    return CONTENT + request.node.name.encode()


def test_parts_in_any_order_resumed_and_repeated(service, content, sha256_of):
    answer = create(service, content, sha256_of(content))
    assert answer.status_code == 201
    upload = answer.json()
    address = f"/v1/uploads/{upload['id']}"
    assert answer.headers["location"] == address
    assert (upload["part_bytes"], upload["missing_parts"], upload["complete"]) == (PART_BYTES, [0, 1, 2], False)

    parts = [content[i : i + PART_BYTES] for i in range(0, len(content), PART_BYTES)]
    for n, part in ((2, parts[2]), (0, b"x" * PART_BYTES), (0, parts[0])):
        assert service.http.put(f"{address}/parts/{n}", content=part).status_code == 200
    assert service.http.get(address).json()["missing_parts"] == [1]
    assert service.http.put(f"{address}/parts/1", content=iter([parts[1]])).json()["missing_parts"] == []

    for _ in range(2):
        done = service.http.post(f"{address}/complete")
        assert done.status_code == 200
        assert done.json()["complete"] is True
    stored = b"".join(service.backends.blobs.stream(sha256_of(content)))
    assert stored == content
    assert not any((service.folder / "data" / "blobs" / "uploads").iterdir())
    assert not any((service.folder / "data" / "scratch").iterdir())


def test_known_content_is_not_sent_twice(service, content, sha256_of, refused):
    service.upload(content)
    answer = create(service, content, sha256_of(content))
    assert answer.status_code == 200
    assert (answer.json()["missing_parts"], answer.json()["complete"]) == ([], True)
    again = service.http.put(f"/v1/uploads/{answer.json()['id']}/parts/0", content=b"x")
    refused(again, 409, "CONFLICT")
    refused(create(service, content, sha256_of(content), bytes=5), 422, "INVALID_SPEC")


def test_a_part_that_is_sent_again_is_missing_until_it_is_whole(service, content, sha256_of, refused):
    address = f"/v1/uploads/{create(service, content, sha256_of(content)).json()['id']}"
    parts = [content[i : i + PART_BYTES] for i in range(0, len(content), PART_BYTES)]
    for n, part in enumerate(parts):
        service.http.put(f"{address}/parts/{n}", content=part)
    refused(service.http.put(f"{address}/parts/1", content=iter([b"x" * 10])), 422, "INVALID_SPEC")
    assert service.http.get(address).json()["missing_parts"] == [1]
    service.http.put(f"{address}/parts/1", content=parts[1])
    assert service.http.post(f"{address}/complete").json()["complete"] is True


def test_parts_that_the_store_has_lost_are_missing_again(service, content, sha256_of, refused):
    upload = create(service, content[-20:], sha256_of(content[-20:])).json()
    address = f"/v1/uploads/{upload['id']}"
    service.http.put(f"{address}/parts/0", content=content[-20:])
    service.backends.blobs.drop_parts(upload["id"], [0])
    refused(service.http.post(f"{address}/complete"), 404, "NOT_FOUND")
    assert service.http.get(address).json()["missing_parts"] == [0]
    service.http.put(f"{address}/parts/0", content=content[-20:])
    assert service.http.post(f"{address}/complete").json()["complete"] is True


def test_what_arrived_must_be_what_was_promised(service, content, sha256_of, refused):
    address = f"/v1/uploads/{create(service, content[:5], sha256_of(b'other')).json()['id']}"
    service.http.put(f"{address}/parts/0", content=content[:5])
    body = refused(service.http.post(f"{address}/complete"), 422, "UPLOAD_DIGEST_MISMATCH")
    assert sha256_of(content[:5]) in body["detail"]
    assert service.http.get(address).json()["missing_parts"] == [0]
    assert not service.backends.blobs.has(sha256_of(content[:5]))


def test_completing_too_early_names_what_is_missing(service, content, sha256_of, refused):
    address = f"/v1/uploads/{create(service, content, sha256_of(content)).json()['id']}"
    service.http.put(f"{address}/parts/1", content=content[PART_BYTES : 2 * PART_BYTES])
    body = refused(service.http.post(f"{address}/complete"), 409, "CONFLICT")
    assert "0, 2" in body["detail"]
    refused(service.http.get(f"{address}/inspection"), 409, "CONFLICT")


@pytest.mark.parametrize(
    ("n", "length", "status", "code"),
    [
        ("0", PART_BYTES + 1, 413, "REQUEST_TOO_LARGE"),
        ("0", PART_BYTES - 1, 422, "INVALID_SPEC"),
        ("3", 5, 422, "INVALID_SPEC"),
        ("-1", 5, 422, "INVALID_SPEC"),
        ("9" * 30, 5, 422, "INVALID_SPEC"),
        ("x", 5, 422, "INVALID_SPEC"),
    ],
)
@pytest.mark.parametrize("announced", [True, False])
def test_parts_of_the_wrong_size_or_number(service, content, sha256_of, refused, *, n, length, status, code, announced):
    address = f"/v1/uploads/{create(service, content, sha256_of(content)).json()['id']}"
    body = b"x" * length
    answer = service.http.put(f"{address}/parts/{n}", content=body if announced else iter([body]))
    refused(answer, status, code)
    assert service.http.get(address).json()["missing_parts"] == [0, 1, 2]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"filename": "x", "bytes": 1}, "/sha256"),
        ({"filename": "x", "bytes": 0, "sha256": "0" * 64}, "/bytes"),
        ({"filename": "x", "bytes": 2**63, "sha256": "0" * 64}, "/bytes"),
        ({"filename": "x\x00", "bytes": 1, "sha256": "0" * 64}, "/filename"),
        ({"filename": "x", "bytes": 1, "sha256": "0" * 64, "a/b": 1}, "/a~1b"),
        ([], ""),
    ],
)
def test_what_is_wrong_with_a_request_is_named(service, refused, body, pointer):
    problem = refused(service.http.post("/v1/uploads", json=body), 422, "INVALID_SPEC")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


def test_caps(serve, refused, sha256_of):
    with serve(max_upload_bytes=1000, max_json_bytes=500) as service:
        refused(create(service, b"x" * 1001, sha256_of(b"")), 413, "REQUEST_TOO_LARGE")
        refused(create(service, b"x", sha256_of(b""), filename="x" * 600), 413, "REQUEST_TOO_LARGE")
        assert create(service, b"x" * 1000, sha256_of(b"")).status_code == 201


def test_inspection_tells_what_can_be_ternarised(service, tiny, refused):
    table = service.http.get(f"/v1/uploads/{service.upload(tiny.model.read_bytes())}/inspection")
    assert table.status_code == 200, table.text
    body = table.json()
    weights = {layer["name"]: layer for layer in body["layers"] if layer["ternarisable"]}
    assert body["format"] == "pt2"
    assert body["ternarisable_weights"] == sum(layer["weights"] for layer in weights.values()) > 0
    assert body["parameters"] > body["ternarisable_weights"]
    assert all(layer["kind"] == "linear" and len(layer["shape"]) == 2 for layer in weights.values())
    not_a_model = service.upload(b"PK\x03\x04 nothing of a model")
    problem = service.http.get(f"/v1/uploads/{not_a_model}/inspection")
    assert problem.status_code == 422
    refused(problem, 422, problem.json()["code"])
