"""A job whose worker is killed goes on in another and gives the same file; whatever a checkpoint turns out to be."""

import dataclasses
import os
import subprocess
import sys
import threading
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest

from api_schemas import CompressSpec, JobMessage
from sterna.compress import ARTIFACT_NAME, compress
from sterna.digest import file_digest
from storage import BlobStore
from workers.checkpoints import CheckpointRules
from workers.supervisor import Supervisor

WORKER = Path(__file__).with_name("dying_worker.py")
OFTEN = CheckpointRules(every_s=0.001)


@pytest.fixture
def submit(desk, mlp):
    def submit(**spec):
        model = desk.upload(mlp.model.read_bytes(), "mlp.pt2")
        data = desk.upload(mlp.data.read_bytes(), "mlp.npz")
        return desk.submit(**({"model": model, "data": data, "target_sparsity": 0.7, "budget": {"epochs": 60}} | spec))

    return submit


@pytest.fixture(scope="module")
def undisturbed(mlp, tmp_path_factory):
    """The digest of the artifact that a job gives when nothing happens to it, by the epochs of its budget."""

    @cache
    def digest(epochs):
        spec = CompressSpec(target_sparsity=0.7, budget={"epochs": epochs})
        folder = tmp_path_factory.mktemp("undisturbed")
        compress(mlp.model, mlp.data, spec, folder)
        return file_digest(folder / ARTIFACT_NAME)

    return digest


def run(desk, message, rules=CheckpointRules(), **more):  # noqa: B008  it is frozen
    supervisor = Supervisor(desk.ledger, desk.blobs, desk.work_root, 30.0, checkpoints=rules, **more)
    outcome = supervisor.run(desk.claim(message))
    job = desk.ledger.job(message.job_id)
    assert outcome == job.state == "succeeded", job.error
    return job


def kill_after(desk, message, step, eventually):
    """Have a worker and its runner killed once a checkpoint of that step is kept; the message of the next attempt."""
    words = [sys.executable, str(WORKER), str(desk.folder), message.job_id, str(message.attempt), str(step)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stdout + done.stderr
    eventually(lambda: desk.ledger.reap(max_attempts=9) == 1)
    return JobMessage(job_id=message.job_id, attempt=message.attempt + 1)


def told(desk, message, code):
    return [body.text for body in desk.bodies(message.job_id) if body.kind == "message" and body.code == code]


def stored(desk):
    """The content in the blob store."""
    return {path.name for path in (desk.folder / "blobs" / "blobs").glob("*/*")}


def inputs_and_artifact(desk, message, job):
    with desk.ledger.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM job_blobs WHERE role = 'checkpoint'").scalar() == 0
    unused = sha256(b"a model").hexdigest()  # of the desk
    return {unused, job.result.artifacts[0].sha256, *desk.ledger.inputs(desk_lease(message)).values()}


def desk_lease(message):
    return dataclasses.make_dataclass("Held", ["job"])(dataclasses.make_dataclass("Of", ["id"])(message.job_id))


def steps_of_attempts(desk, message):
    """The steps that each attempt told of."""
    attempts = []
    for body in desk.bodies(message.job_id):
        if body.kind == "state" and body.state == "running":
            attempts.append([])
        elif body.kind == "progress":
            attempts[-1].append(body.step)
    return attempts


def test_killed_in_the_search_and_again_in_the_recovery_gives_the_same_file(desk, submit, undisturbed, eventually):
    message = submit()
    message = kill_after(desk, message, 300, eventually)
    message = kill_after(desk, message, 1122, eventually)  # of 1320 steps: after the landing
    job = run(desk, message, OFTEN)

    assert job.attempt == 3
    assert job.result.artifacts[0].sha256 == undisturbed(60)
    resumed = [int(text.split()[4].rstrip(",")) for text in told(desk, message, "RESUMED")]
    assert resumed[0] >= 300
    assert resumed[1] >= 1122
    first, second, third = steps_of_attempts(desk, message)
    # Points are stored in batches: a fast attempt may be killed before its first.
    assert all(step < 1122 for step in first)
    assert second[:1] in ([], [resumed[0]])
    assert third[0] == resumed[1]
    desk.ledger.collect(desk.blobs, grace_s=0.0)  # what killed workers could not remove any more
    assert stored(desk) == inputs_and_artifact(desk, message, job)


@pytest.mark.parametrize("harm", ["gone", "damaged", "another's"])
def test_without_its_checkpoint_a_job_begins_anew_and_says_so(desk, submit, undisturbed, eventually, harm):
    message = kill_after(desk, submit(budget={"epochs": 30}), 100, eventually)
    lease = desk.claim(message)
    name = desk.ledger.checkpoint(lease)
    path = desk.folder / "blobs" / "blobs" / name[:2] / name
    if harm == "gone":
        path.unlink()
    elif harm == "damaged":
        path.write_bytes(path.read_bytes()[:-1])
    else:  # a true digest of content that is no checkpoint of this job
        foreign = desk.folder / "foreign"
        foreign.write_bytes(b"sterna checkpoint of job_another\n" + path.read_bytes())
        desk.ledger.keep_checkpoint(lease, desk.blobs.put_file(foreign)[0], size_bytes=1, step=100)
    desk.ledger.release(lease)
    message = JobMessage(job_id=message.job_id, attempt=3)
    job = run(desk, message, OFTEN)

    assert job.result.artifacts[0].sha256 == undisturbed(30)
    assert len(told(desk, message, "CHECKPOINT_LOST")) == 1
    assert told(desk, message, "RESUMED") == []


def test_a_shutdown_asks_for_a_checkpoint_and_loses_nothing(desk, submit, undisturbed, in_thread, eventually, walls):
    message = submit()
    rules = CheckpointRules(every_s=1000.0, grace_s=60.0)
    supervisor = Supervisor(desk.ledger, desk.blobs, desk.work_root, 30.0, confinement=walls, checkpoints=rules)
    running = in_thread(supervisor, desk.claim(message))
    told_before = eventually(lambda: desk.ledger.job(message.job_id).progress.step)
    supervisor.stopping.set()

    assert running.join() == "released"
    message = JobMessage(job_id=message.job_id, attempt=2)
    job = run(desk, message, rules, confinement=walls)
    assert job.result.artifacts[0].sha256 == undisturbed(60)
    (text,) = told(desk, message, "RESUMED")
    assert int(text.split()[4].rstrip(",")) >= told_before


def test_a_job_that_fails_and_is_tried_again_begins_anew(desk):
    message = desk.submit()
    supervisor = dataclasses.replace(desk.supervisor("keeps_and_crashes"), checkpoints=OFTEN)
    lease = desk.claim(message)
    assert supervisor.run(lease) == "failed"
    assert stored(desk) == {sha256(b"a model").hexdigest()}
    again = desk.ledger.retry(message.job_id)
    assert desk.ledger.checkpoint(desk.claim(JobMessage(job_id=again.id, attempt=2))) is None


@pytest.mark.parametrize(
    "lie", ["other digest", "other length", "too large", "no file", "link", "linked folder", "pipe", "device"]
)
def test_a_runner_that_lies_of_a_checkpoint_has_none_and_its_job_goes_on(desk, lie):
    message = desk.submit()
    rules = CheckpointRules(every_s=0.001, most_bytes=1000)
    supervisor = dataclasses.replace(desk.supervisor(f"lies_{lie.replace(' ', '_')}"), checkpoints=rules)
    assert supervisor.run(desk.claim(message)) == "succeeded"
    assert len(stored(desk)) == 2


class Slow(BlobStore):
    """A store that takes checkpoints only when it is let."""

    def __init__(self, inner):
        super().__init__(inner._store, folder=inner._folder)
        self.entered, self.let = threading.Event(), threading.Event()
        self.put = []

    def put_file(self, path):
        if path.name == "sealed-checkpoint":
            self.put.append(path.read_bytes())
            self.entered.set()
            assert self.let.wait(60)
        return super().put_file(path)


def test_a_slow_upload_delays_nothing_and_the_newest_of_those_that_wait_comes_next(desk, in_thread, eventually):
    slow = Slow(desk.blobs)
    message = desk.submit()
    supervisor = dataclasses.replace(desk.supervisor("keeps_often"), blobs=slow, checkpoints=OFTEN)
    running = in_thread(supervisor, desk.claim(message, lease_s=0.6))
    assert slow.entered.wait(60)
    eventually(lambda: desk.ledger.job(message.job_id).progress.step == 9)  # told after the checkpoints
    lease = dataclasses.make_dataclass("Held", ["job"])(desk.ledger.job(message.job_id))
    assert desk.ledger.checkpoint(lease) is None
    slow.let.set()
    first = eventually(lambda: len(slow.put) > 1)
    assert first
    (desk.folder / "go").touch()

    assert running.join() == "succeeded"
    assert [content.splitlines()[1] for content in slow.put] in ([b"0", b"9"], [b"0", b"8", b"9"])
    assert slow.put[0].splitlines()[0].decode().endswith(message.job_id)
    assert len(stored(desk)) == 2


def test_a_store_that_takes_nothing_costs_the_checkpoint_and_not_the_job(desk):
    class Full(BlobStore):
        def put_file(self, path):
            if path.name == "sealed-checkpoint":
                raise OSError(28, "No space left on device")
            return super().put_file(path)

    full = Full(desk.blobs._store, folder=desk.blobs._folder)
    message = desk.submit()
    supervisor = dataclasses.replace(desk.supervisor("keeps_and_succeeds"), blobs=full, checkpoints=OFTEN)
    assert supervisor.run(desk.claim(message)) == "succeeded"


def test_a_shutdown_does_not_wait_for_a_runner_that_keeps_nothing(desk, in_thread, eventually):
    message = desk.submit()
    rules = CheckpointRules(every_s=1000.0, grace_s=0.5)
    supervisor = dataclasses.replace(desk.supervisor("hang"), checkpoints=rules)
    running = in_thread(supervisor, desk.claim(message))
    eventually(lambda: desk.ledger.job(message.job_id).phase == "search")
    supervisor.stopping.set()
    assert running.join() == "released"
