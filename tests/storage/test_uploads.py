import pytest

from api_schemas import UploadRequest
from sterna.errors import Conflict, InvalidSpec, NotFound
from storage.uploads import part_numbers, part_size

REQUEST = UploadRequest(filename="model.pt2", bytes=25, sha256="ab" * 32)


def test_parts_go_missing_one_by_one(ledger):
    upload = ledger.create_upload(REQUEST, part_bytes=10)
    assert upload.missing_parts == (0, 1, 2)
    assert ledger.mark_part(upload.id, 1).missing_parts == (0, 2)
    assert ledger.mark_part(upload.id, 1).missing_parts == (0, 2)
    assert ledger.mark_part(upload.id, 7).missing_parts == (0, 2)
    ledger.forget_parts(upload.id)
    assert ledger.upload(upload.id).missing_parts == (0, 1, 2)


@pytest.mark.parametrize(("size", "sizes"), [(25, [10, 10, 5]), (20, [10, 10]), (1, [1]), (10, [10])])
def test_part_sizes(ledger, size, sizes):
    upload = ledger.create_upload(REQUEST.model_copy(update={"bytes": size}), part_bytes=10)
    assert [part_size(upload, n) for n in part_numbers(upload)] == sizes
    for n in (-1, len(sizes)):
        with pytest.raises(InvalidSpec, match=f"no part {n}"):
            part_size(upload, n)


def test_only_a_complete_upload_has_a_blob(ledger):
    upload = ledger.create_upload(REQUEST, part_bytes=10)
    with pytest.raises(Conflict, match="3 parts are missing"):
        ledger.upload_sha256(upload.id)
    assert ledger.finish_upload(upload.id).complete
    assert ledger.upload_sha256(upload.id) == REQUEST.sha256
    assert ledger.upload(upload.id).missing_parts == ()


def test_known_content_is_complete_at_once(ledger):
    upload = ledger.create_upload(REQUEST, part_bytes=10, complete=True)
    assert (upload.complete, upload.missing_parts) == (True, ())


@pytest.mark.parametrize("upload_id", ["upl_" + "0" * 32, "", "upl_\x00", "../x"])
def test_unknown_uploads(ledger, upload_id):
    for call in (ledger.upload, ledger.upload_sha256, lambda i: ledger.mark_part(i, 0), ledger.finish_upload):
        with pytest.raises(NotFound):
            call(upload_id)
