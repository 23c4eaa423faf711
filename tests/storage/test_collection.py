import hashlib

import pytest

from api_schemas import ArtifactRef, UploadRequest
from storage import BlobStore

GRACE_S = 3600.0


class Warehouse:
    def __init__(self, ledger, folder):
        self.ledger, self.folder = ledger, folder
        self.blobs = BlobStore.open(f"file://{folder}/blobs")

    def put(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        self.ledger.pin(sha256)
        (self.folder / "file").write_bytes(content)
        assert self.blobs.put_file(self.folder / "file")[0] == sha256
        return sha256

    def upload(self, content: bytes) -> str:
        wanted = UploadRequest(filename="f", bytes=len(content), sha256=self.put(content))
        return self.ledger.create_upload(wanted, part_bytes=10, complete=True).id

    def age(self) -> None:
        with self.ledger.write() as connection:
            connection.exec_driver_sql("UPDATE blobs SET pinned_us = pinned_us - 7200000000")

    def collect(self) -> int:
        return self.ledger.collect(self.blobs, grace_s=GRACE_S)


@pytest.fixture
def warehouse(ledger, tmp_path):
    return Warehouse(ledger, tmp_path)


def test_only_content_that_nothing_refers_to_goes(desk, warehouse, result):
    ledger, blobs = warehouse.ledger, warehouse.blobs
    loose = warehouse.put(b"loose")
    uploaded = ledger.upload_sha256(warehouse.upload(b"uploaded"))
    job = ledger.submit(desk.spec().model_copy(update={"model": warehouse.upload(b"model")}))
    model = ledger.upload_sha256(job.spec.model)
    made = warehouse.put(b"artifact")
    artifact = ArtifactRef(name="a", sha256=made, bytes=8, media_type="x/y")
    assert ledger.succeed(desk.claim(job), result.model_copy(update={"artifacts": (artifact,)}))
    assert warehouse.collect() == 0  # all are within the grace
    warehouse.age()
    assert warehouse.collect() == 1
    assert [blobs.has(one) for one in (loose, uploaded, model, made)] == [False, True, True, True]
    ledger.delete_job(job.id)
    assert warehouse.collect() == 2
    assert [blobs.has(one) for one in (uploaded, model, made)] == [True, False, False]


def test_a_pin_protects_what_is_about_to_be_relied_on(warehouse):
    sha256 = warehouse.put(b"content")
    warehouse.age()
    warehouse.ledger.pin(sha256)
    assert warehouse.collect() == 0
    assert warehouse.blobs.has(sha256)
    warehouse.age()
    assert warehouse.collect() == 1
    assert warehouse.put(b"content") == sha256
    assert warehouse.blobs.has(sha256)


def test_content_of_two_owners_goes_with_the_second(warehouse, desk):
    ledger = warehouse.ledger
    ids = [warehouse.upload(b"shared") for _ in range(2)]
    jobs = [ledger.submit(desk.spec().model_copy(update={"model": one})) for one in ids]
    warehouse.age()
    for job, left in zip(jobs, (True, False), strict=True):
        ledger.request(job.id, "cancel")
        content = ledger.delete_job(job.id)
        ledger.collect(warehouse.blobs, grace_s=GRACE_S, only=content)
        assert warehouse.blobs.has(content[0]) is left


def test_uploads_that_no_job_uses_go_after_their_time(warehouse, desk):
    ledger = warehouse.ledger
    _, used = warehouse.upload(b"unused"), warehouse.upload(b"used")
    ledger.submit(desk.spec().model_copy(update={"model": used}))
    assert ledger.delete_unused_uploads(older_than_s=60) == 0
    with ledger.write() as connection:
        connection.exec_driver_sql("UPDATE uploads SET created_us = 0")
    ledger.delete_unused_uploads(older_than_s=60)
    warehouse.age()
    assert warehouse.collect() == 1
    assert ledger.upload(used).complete
    assert not warehouse.blobs.has(hashlib.sha256(b"unused").hexdigest())
