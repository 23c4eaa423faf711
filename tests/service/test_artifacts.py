import base64
import hashlib

import pytest


@pytest.fixture(scope="session")
def finished(shared):
    job, artifact = shared.finished()
    return f"/v1/jobs/{job.id}/artifacts/{artifact.name}", artifact


def test_the_whole_file(service, finished, artifact_content):
    address, artifact = finished
    answer = service.http.get(address)
    assert answer.status_code == 200
    assert answer.content == artifact_content
    digest = hashlib.sha256(artifact_content)
    assert answer.headers["etag"] == f'"{digest.hexdigest()}"'
    assert answer.headers["repr-digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    assert answer.headers["content-length"] == str(len(artifact_content))
    assert answer.headers["accept-ranges"] == "bytes"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-disposition"] == f'attachment; filename="{artifact.name}"'
    assert answer.headers["content-type"] == artifact.media_type


def test_head_tells_the_same_without_the_file(service, finished):
    address, _ = finished
    full, head = service.http.get(address), service.http.head(address, headers={"Range": "bytes=0-1"})
    assert (head.status_code, head.content) == (200, b"")
    told = {"etag", "repr-digest", "content-length", "accept-ranges", "content-type", "content-disposition"}
    assert {name: head.headers[name] for name in told} == {name: full.headers[name] for name in told}


@pytest.mark.parametrize(("asked", "start", "end"), [("0-99", 0, 100), ("1000000-", 1_000_000, None), ("-5", -5, None)])
def test_parts_of_the_file(service, finished, artifact_content, *, asked, start, end):
    address, artifact = finished
    answer = service.http.get(address, headers={"Range": f"bytes={asked}"})
    expected = artifact_content[start:end]
    assert answer.status_code == 206
    assert answer.content == expected
    first = start % artifact.bytes
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/{artifact.bytes}"
    assert answer.headers["content-length"] == str(len(expected))
    assert answer.headers["repr-digest"] == service.http.head(address).headers["repr-digest"]


def test_a_broken_download_is_resumed(service, finished, artifact_content):
    address, artifact = finished
    with service.http.stream("GET", address) as answer:
        begun = next(answer.iter_bytes(chunk_size=200_000))
        etag = answer.headers["etag"]
    rest = service.http.get(address, headers={"Range": f"bytes={len(begun)}-", "If-Range": etag})
    assert rest.status_code == 206
    assert hashlib.sha256(begun + rest.content).hexdigest() == artifact.sha256
    other = service.http.get(address, headers={"Range": f"bytes={len(begun)}-", "If-Range": '"other"'})
    assert (other.status_code, other.content) == (200, artifact_content)


def test_a_copy_is_never_sent_again(service, finished):
    address, artifact = finished
    for method in ("GET", "HEAD"):
        answer = service.http.request(
            method, address, headers={"If-None-Match": f'"{artifact.sha256}"', "Range": "bytes=0-1"}
        )
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == f'"{artifact.sha256}"'


def test_a_range_behind_the_end(service, finished, refused):
    address, artifact = finished
    answer = service.http.get(address, headers={"Range": f"bytes={artifact.bytes}-"})
    refused(answer, 416, "RANGE_NOT_SATISFIABLE")
    assert answer.headers["content-range"] == f"bytes */{artifact.bytes}"


def test_before_during_and_without_success(service, refused):
    job = service.queued()
    address = f"/v1/jobs/{job.id}/artifacts"

    def is_too_early() -> None:
        for path in (address, f"{address}/model.sterna"):
            answer = service.http.get(path)
            refused(answer, 409, "CONFLICT")
            assert int(answer.headers["retry-after"]) > 0

    is_too_early()
    lease = service.claim(job)
    is_too_early()
    service.ledger.cancelled(lease)
    assert service.http.get(address).json() == {"artifacts": []}
    refused(service.http.get(f"{address}/model.sterna"), 404, "NOT_FOUND")


def test_unknown_names(service, finished, refused):
    address, _ = finished
    problem = refused(service.http.get(address + "x"), 404, "NOT_FOUND")
    assert "model.sterna" in problem["detail"]
    refused(service.http.get(address.replace("model.sterna", "..%2F..%2Fsterna.db")), 404, "NOT_FOUND")


def test_names_that_need_care(service):
    job = service.queued()
    service.finish(service.claim(job), name='ä "b".bin', content=b"abc")
    (artifact,) = service.http.get(f"/v1/jobs/{job.id}/artifacts").json()["artifacts"]
    answer = service.http.get(artifact["url"])
    assert answer.content == b"abc"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''%C3%A4%20%22b%22.bin"


def test_content_that_is_gone_is_said_before_anything_is_sent(service, refused):
    job = service.queued()
    artifact = service.finish(service.claim(job), content=b"soon gone")
    stored = service.folder / "data" / "blobs" / "blobs" / artifact.sha256[:2] / artifact.sha256
    stored.unlink()
    refused(service.http.get(f"/v1/jobs/{job.id}/artifacts/model.sterna"), 503, "SERVICE_UNAVAILABLE")
