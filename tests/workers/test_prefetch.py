"""A worker whose slots are all taken fetches nothing from Redis: what it held would be kept from idle workers."""

import os
import subprocess
import sys
from pathlib import Path

import redis
from celery import Celery

from api_schemas import JobMessage, JobSpec, UploadRequest
from api_schemas.queue import RUN_JOB_TASK
from storage import BlobStore, Ledger, Settings

WORKER = Path(__file__).with_name("stand_in_worker.py")


def test_messages_stay_in_the_broker_while_no_slot_is_free(valkey_url, tmp_path, eventually):
    settings = Settings(data_dir=tmp_path, broker_url=valkey_url).prepared()
    ledger = Ledger.open(settings.database_url)
    model = tmp_path / "model.pt2"
    model.write_bytes(b"a model")
    sha256, size_bytes = BlobStore.open(settings.storage_url).put_file(model)
    request = UploadRequest(filename="model.pt2", bytes=size_bytes, sha256=sha256)
    upload = ledger.create_upload(request, part_bytes=1000, complete=True)
    environment = os.environ | {
        "STERNA_BROKER_URL": settings.broker_url,
        "STERNA_DATA_DIR": str(tmp_path),
        "STERNA_RESEND_AFTER_S": "600",
        "STERNA_RUNNERS": "2",
        "STERNA_SANDBOX": "off",
        "STERNA_WARM_RUNNERS": "0",
    }
    with (tmp_path / "worker.log").open("w") as log:
        worker = subprocess.Popen([sys.executable, str(WORKER), "hang"], env=environment, stdout=log, stderr=log)
    try:
        eventually(lambda: ledger.alive_workers(within_s=60))
        jobs = [ledger.submit(JobSpec(model=upload.id, target_sparsity=0.5)) for _ in range(6)]
        with Celery("sender", set_as_current=False) as sender:
            sender.conf.update(settings.queue_options())
            for job in jobs:
                message = JobMessage(job_id=job.id, attempt=1)
                sender.send_task(RUN_JOB_TASK, kwargs=message.model_dump(), task_id=message.key)
        eventually(lambda: sum(ledger.job(job.id).state == "running" for job in jobs) == 2)
        with redis.Redis.from_url(valkey_url) as client:
            eventually(lambda: client.hlen("unacked") == 0)  # nothing is fetched that is not being run
            assert client.llen("sterna") == 4
    finally:
        worker.terminate()
        assert worker.wait(timeout=60) == 0
        ledger.close()
