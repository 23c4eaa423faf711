"""Real worker processes over a real broker on the file system."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from celery import Celery

from api_schemas import JobSpec, UploadRequest
from api_schemas.queue import RUN_JOB_TASK
from sterna.errors import SettingUnusable
from storage import BlobStore, Ledger, Settings
from workers.celery_app import create_app

WORKER = Path(__file__).with_name("stand_in_worker.py")


class House:
    """An embedded installation in a folder, workers apart."""

    def __init__(self, folder):
        self.folder = folder
        self.settings = Settings(data_dir=folder).prepared()
        self.ledger = Ledger.open(self.settings.database_url)
        self.blobs = BlobStore.open(self.settings.storage_url)

    @contextmanager
    def worker(self, behaviour, **settings):
        plain = {"STERNA_DATA_DIR": str(self.folder), "STERNA_SANDBOX": "off", "STERNA_RUNNERS": "1"}
        plain["STERNA_CHECKPOINT_GRACE_S"] = "0.5"  # stand-ins keep nothing
        plain["STERNA_WARM_RUNNERS"] = "0"
        environment = os.environ | plain | settings
        with (self.folder / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, str(WORKER), behaviour], env=environment, stdout=log, stderr=subprocess.STDOUT
            )
            try:
                yield process
            finally:
                process.kill()
                process.wait()

    def submit(self):
        model = self.folder / "model.pt2"
        model.write_bytes(b"a model")
        sha256, size_bytes = self.blobs.put_file(model)
        request = UploadRequest(filename="model.pt2", bytes=size_bytes, sha256=sha256)
        upload = self.ledger.create_upload(request, part_bytes=1000, complete=True)
        return self.ledger.submit(JobSpec(model=upload.id, target_sparsity=0.5)).id

    def send(self, **message):
        with Celery("sender", set_as_current=False) as sender:
            sender.conf.update(self.settings.queue_options())
            sender.send_task(RUN_JOB_TASK, kwargs=message)

    def log(self):
        return (self.folder / "worker.log").read_text()


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path)
    yield house
    house.ledger.close()
    print(house.log())  # shown by pytest with a failure


def test_importing_the_application_makes_nothing(tmp_path):
    environment = os.environ | {"STERNA_DATA_DIR": str(tmp_path / "data")}
    subprocess.run([sys.executable, "-c", "import workers.celery_app"], env=environment, check=True)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(("broker_url", "disabled"), [("redis://broker:6379/0", True), ("filesystem://", False)])
def test_a_busy_worker_fetches_nothing_ahead_where_the_broker_allows_it(tmp_path, broker_url, disabled):
    app = create_app(Settings(data_dir=tmp_path, broker_url=broker_url))
    assert app.conf.worker_disable_prefetch is disabled


def test_a_worker_with_torch_blocked_runs_a_sent_job_and_shuts_down(house, eventually):
    job_id = house.submit()
    house.send(job_id=job_id, attempt=1)
    house.send(job_id=job_id, attempt=1)  # repeated: nothing to claim
    house.send(job_id=["not", "a", "string"], attempt=1)  # nonsense: refused, not fatal
    with house.worker("succeed") as worker:
        eventually(lambda: house.ledger.job(job_id).state == "succeeded")
        assert house.ledger.alive_workers(within_s=60) == 1
        again = house.submit()
        house.send(job_id=again, attempt=1)
        eventually(lambda: house.ledger.job(again).state == "succeeded")
        worker.terminate()
        assert worker.wait(timeout=60) == 0
    assert house.ledger.job(job_id).attempt == 1


def test_damaged_files_of_the_queue_do_not_end_a_worker(house, eventually):
    messages = house.settings.broker_folder / "messages"
    (messages / "0_half.sterna.msg").write_text('{"body": "')
    (messages / "0_empty.sterna.msg").write_text("{}")
    (house.settings.broker_folder / "control" / "sterna.exchange").touch()
    job_id = house.submit()
    with house.worker("succeed"):
        eventually(lambda: house.ledger.job(job_id).state == "succeeded")
    assert list(messages.iterdir()) == []
    refused = house.settings.broker_folder / "refused"
    assert sorted(file.name for file in refused.iterdir()) == ["0_empty.sterna.msg", "0_half.sterna.msg"]


def test_kill_9_of_a_worker_gives_the_job_to_another(house, eventually, is_running):
    job_id = house.submit()
    house.send(job_id=job_id, attempt=1)
    with house.worker("second_time_lucky", STERNA_LEASE_S="2") as first:
        pid_file = house.folder / "work" / "pid"
        eventually(lambda: pid_file.exists() and pid_file.read_text())
        first.send_signal(signal.SIGKILL)
        first.wait()
    with house.worker("second_time_lucky", STERNA_BEAT_S="1"):
        eventually(lambda: house.ledger.job(job_id).state == "succeeded")
    job = house.ledger.job(job_id)
    assert (job.attempt, job.result.steps) == (2, 2)
    states = [event.body.state for event in house.ledger.events(job_id).events if event.body.kind == "state"]
    assert states == ["queued", "running", "queued", "running", "succeeded"]
    orphan = int(pid_file.read_text())
    if is_running(orphan):  # the stand-in does not listen; the real runner ends itself
        os.kill(orphan, signal.SIGKILL)


def test_messages_that_were_lost_are_sent_again_at_the_next_start(house, eventually):
    job_ids = [house.submit() for _ in range(3)]  # and nothing is sent: as if lost with a killed worker
    with house.worker("succeed", STERNA_RESEND_AFTER_S="600"):
        eventually(lambda: all(house.ledger.job(job_id).state == "succeeded" for job_id in job_ids))


def test_sigterm_releases_the_job_and_kills_the_child(house, eventually, is_running):
    job_id = house.submit()
    house.send(job_id=job_id, attempt=1)
    with house.worker("hang") as worker:
        pid_file = house.folder / "work" / "pid"
        eventually(lambda: pid_file.exists() and pid_file.read_text())
        worker.terminate()
        assert worker.wait(timeout=60) == 0
    job = house.ledger.job(job_id)
    assert (job.state, job.attempt) == ("queued", 2)
    assert not is_running(int(pid_file.read_text()))


def test_a_worker_runs_as_many_jobs_at_a_time_as_it_has_slots(house, eventually):
    job_ids = [house.submit() for _ in range(4)]
    with house.worker("slow", STERNA_RUNNERS="3"):
        eventually(lambda: sum(house.ledger.job(job_id).state == "running" for job_id in job_ids) == 3)
        assert [worker.capacity for worker in house.ledger.list_workers(alive_within_s=60)] == [3]
        eventually(lambda: all(house.ledger.job(job_id).state == "succeeded" for job_id in job_ids))


def test_an_idle_slot_has_a_runner_that_waits_and_a_stopped_worker_leaves_none(house, eventually):
    def waiting():
        return {folder.name for folder in (house.folder / "work").glob("warm-*")}

    with house.worker("succeed", STERNA_WARM_RUNNERS="1", STERNA_RUNNERS="2") as worker:
        first = eventually(lambda: len(waiting()) == 2 and waiting())
        job_id = house.submit()
        house.send(job_id=job_id, attempt=1)
        eventually(lambda: house.ledger.job(job_id).state == "succeeded")
        eventually(lambda: len(waiting()) == 2 and waiting() != first)  # used once, and replaced
        assert len(waiting() & first) == 1
        worker.terminate()
        assert worker.wait(timeout=60) == 0
    assert waiting() == set()


def test_a_worker_without_the_gpus_that_it_is_to_use_does_not_start(house):
    with house.worker("succeed", STERNA_GPUS="999") as worker:
        assert worker.wait(timeout=60) == 3
    assert "error[GPU_UNAVAILABLE]: STERNA_GPUS names GPU 999" in house.log()


@pytest.mark.parametrize(("name", "value"), [("GPUS", "some"), ("RUNNERS", "0"), ("SANDBOX", "maybe")])
def test_a_setting_that_cannot_be_used_is_named_and_ends_the_worker(house, name, value):
    with house.worker("succeed", **{f"STERNA_{name}": value}) as worker:
        assert worker.wait(timeout=60) == SettingUnusable.exit_code
    assert f"error[SETTING_UNUSABLE]: STERNA_{name}" in house.log()


def test_a_worker_without_the_sandbox_that_is_required_does_not_start(house, tmp_path):
    job_id = house.submit()
    house.send(job_id=job_id, attempt=1)
    with house.worker("succeed", STERNA_SANDBOX="required", PATH=str(tmp_path)) as worker:
        assert worker.wait(timeout=60) == 3
    assert "error[SANDBOX_UNAVAILABLE]" in house.log()
    assert "bwrap is not installed" in house.log()
    assert house.ledger.job(job_id).state == "queued"


def test_a_worker_with_walls_says_so_and_its_secrets_stay_with_it(house, eventually, bubblewrap):
    assert bubblewrap
    job_id = house.submit()
    house.send(job_id=job_id, attempt=1)
    secret = "database-password-1234"
    with house.worker("snoop", STERNA_SANDBOX="required", STERNA_SECRET=secret) as worker:
        eventually(lambda: house.ledger.job(job_id).state in {"succeeded", "failed"})
        environment = Path(
            f"/proc/{worker.pid}/environ"
        ).read_text()  # now: it is empty while a process is being started
    assert secret in environment
    job = house.ledger.job(job_id)
    assert (job.state, job.sandbox) == ("succeeded", "bubblewrap"), job.error
    told = [event.body.text for event in house.ledger.events(job_id).events if event.body.kind == "message"]
    assert len(told) == 1
    assert "PYTHONSAFEPATH" in told[0]  # it did read what it could
    assert secret not in told[0]
