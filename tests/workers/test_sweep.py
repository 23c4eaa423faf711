import os
import time

import pytest

from api_schemas import UploadRequest
from sterna.errors import NotFound
from storage import Settings
from workers.context import WorkerContext
from workers.sweep import sweep

DAY_S = 86_400.0


@pytest.fixture
def context(desk):
    settings = Settings(data_dir=desk.folder, sweep_after_s=DAY_S).prepared()
    return WorkerContext(settings, desk.ledger, desk.blobs, "tester")


def make(path, *, days_old):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"left behind")
    at = time.time() - days_old * DAY_S
    for one in (path, path.parent):
        os.utime(one, (at, at))
    return path


def test_old_files_of_nobody_go_and_fresh_ones_stay(desk, context):
    folder = desk.folder
    old = [
        make(folder / "scratch" / "request" / "model", days_old=2),
        make(folder / "scratch" / "loose", days_old=2),
        make(folder / "queue" / "taken" / "1_a.sterna.msg", days_old=2),
        make(folder / "queue" / "refused" / "1_b.sterna.msg", days_old=2),
    ]
    fresh = [
        make(folder / "scratch" / "other" / "model", days_old=0.5),
        make(folder / "queue" / "messages" / "1_c.sterna.msg", days_old=2),
    ]
    sweep(context)
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in fresh)


def test_work_folders_go_unless_their_attempt_is_running(desk, context):
    running, over = desk.submit(), desk.submit()
    desk.claim(running)
    desk.ledger.cancelled(desk.claim(over))
    kept = [
        make(desk.work_root / f"{running.job_id}-1" / "model", days_old=2),
        make(desk.work_root / f"{over.job_id}-2" / "runner.log", days_old=0.5),
    ]
    gone = [
        make(desk.work_root / f"{running.job_id}-0" / "model", days_old=2),
        make(desk.work_root / f"{over.job_id}-1" / "runner.log", days_old=2),
        make(desk.work_root / "somebody" / "else", days_old=2),
    ]
    sweep(context)
    assert all(path.exists() for path in kept)
    assert not any(path.parent.exists() for path in gone)


def test_abandoned_uploads_go_with_their_parts(desk, context):
    request = UploadRequest(filename="model.pt2", bytes=25, sha256="ab" * 32)
    old, fresh = (desk.ledger.create_upload(request, part_bytes=10) for _ in range(2))
    complete = desk.upload(b"content")
    for upload in (old, fresh):
        with desk.blobs.part_writer(upload.id, 1, begin=10, scratch=desk.folder) as part:
            part.write(b"0123456789")
            part.finish()
        desk.ledger.mark_part(upload.id, 1)
    with desk.ledger.write() as connection:
        connection.exec_driver_sql(
            "UPDATE uploads SET created_us = created_us - 172800000000 WHERE id <> ?", (fresh.id,)
        )
    sweep(context)
    with pytest.raises(NotFound):
        desk.ledger.upload(old.id)
    assert desk.ledger.upload(fresh.id).missing_parts == (0, 2)
    assert desk.ledger.upload(complete).complete
    assert [folder.name for folder in (desk.folder / "blobs" / "uploads").iterdir()] == [fresh.id]
