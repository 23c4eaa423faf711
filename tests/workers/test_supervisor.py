import dataclasses
import json
import os
import signal
import time
from hashlib import sha256

import pytest

from workers.child import Child
from workers.supervisor import Supervisor
from workers.work_folder import LOG_BYTES


def test_success_relays_events_and_publishes_the_artifact(desk):
    outcome, job = desk.run("succeed")

    assert (outcome, job.state) == ("succeeded", "succeeded")
    assert job.progress.step == 4
    assert job.latest.lambda_ == 0.01
    artifact = job.result.artifacts[0]
    assert artifact.sha256 == sha256(b"a model"[::-1]).hexdigest()
    assert b"".join(desk.blobs.stream(artifact.sha256)) == b"ledom a"
    kinds = [body.kind for body in desk.bodies(job.id)]
    assert kinds == ["state", "state", "phase", *["progress"] * 5, "state"]
    assert list(desk.work_root.iterdir()) == []


def test_runner_sees_its_files_and_no_secrets(desk, monkeypatch):
    monkeypatch.setenv("STERNA_DATABASE_URL", "postgresql://user:secret@host/db")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    message = desk.submit(data=desk.upload(b"data", "data.npz"), labels={"team": "vision"}, seed=3)
    desk.supervisor("show_environment").run(desk.claim(message))

    told = {body.code: json.loads(body.text) for body in desk.bodies(message.job_id) if body.kind == "message"}
    assert "secret" not in json.dumps(told["ENVIRONMENT"])
    assert told["ENVIRONMENT"]["HOME"].startswith(str(desk.work_root))
    assert told["FILES"] == ["data", "model", "out", "runner.log", "spec.json", "tmp"]
    assert told["SPEC"]["seed"] == 3
    assert not {"model", "data", "labels"} & set(told["SPEC"])


@pytest.mark.parametrize(
    ("behaviour", "code", "words"),
    [
        ("error", "TRAINING_DIVERGED", "the loss became NaN"),
        ("crash", "RUNNER_CRASHED", "exit code 9"),
        ("segfault", "RUNNER_CRASHED", "SIGSEGV"),
        ("half_a_line", "RUNNER_CRASHED", "SIGABRT"),
        ("starved", "OUT_OF_MEMORY", "memory"),
        ("spin", "TIME_LIMIT", "processor time"),
        ("garbage", "RUNNER_CRASHED", "protocol"),
        ("overlong", "RUNNER_CRASHED", "100000 bytes"),
        ("long_event", "RUNNER_CRASHED", "event of more than 65536 bytes"),
        ("chatty", "RUNNER_CRASHED", "more than 10000 lines"),
        ("impossible_step", "RUNNER_CRASHED", "step 10"),
        ("lying_digest", "RUNNER_CRASHED", "sha-256"),
        ("escaping_name", "RUNNER_CRASHED", "'../model'"),
        ("linked_artifact", "RUNNER_CRASHED", "'linked'"),
        ("holds_output_open", "RUNNER_CRASHED", "exit code 5"),
    ],
)
def test_every_bad_end_is_a_typed_failure(desk, behaviour, code, words):
    outcome, job = desk.run(behaviour)

    assert (outcome, job.state) == ("failed", "failed")
    assert job.error.code == code
    assert words in job.error.message
    assert job.error.hint or code == "RUNNER_CRASHED"


def test_events_before_a_crash_and_the_log_are_kept(desk):
    _, job = desk.run("crash")

    assert "progress" in [body.kind for body in desk.bodies(job.id)]
    kept = desk.work_root / f"{job.id}-1"
    assert [entry.name for entry in kept.iterdir()] == ["runner.log"]
    assert "last words" in (kept / "runner.log").read_text()


def test_the_log_of_a_runner_that_complains_is_cut_to_its_end(desk):
    _, job = desk.run("complains_without_end")  # 40 MB

    log = desk.work_root / f"{job.id}-1" / "runner.log"
    assert log.stat().st_size < LOG_BYTES + 2_000_000
    text = log.read_text()
    assert text.startswith("(what was before this was cut")
    assert text.endswith("last words\n")


@pytest.mark.parametrize(
    ("limit", "words"), [("wall_s", "longer than the 0.5 s"), ("silence_s", "said nothing for 0.5")]
)
def test_a_hung_runner_is_ended_even_when_it_ignores_sigterm(desk, is_running, limit, words):
    outcome, job = desk.run("hang", **{limit: 0.5})

    assert (outcome, job.error.code) == ("failed", "TIME_LIMIT")
    assert words in job.error.message
    assert not is_running(int((desk.work_root / "pid").read_text()))


def test_a_job_has_its_own_time_limit_and_the_queue_does_not_count(desk):
    message = desk.submit(time_limit_s=0.5)
    time.sleep(0.6)
    assert desk.supervisor("hang").run(desk.claim(message)) == "failed"

    error = desk.ledger.job(message.job_id).error
    assert (error.code, "longer than the 0.5 s" in error.message) == ("TIME_LIMIT", True)
    patient = desk.submit(time_limit_s=60)
    time.sleep(0.6)
    assert desk.supervisor("succeed").run(desk.claim(patient)) == "succeeded"


def test_kill_9_of_the_runner_fails_the_job(desk, in_thread, eventually):
    message = desk.submit()
    running = in_thread(desk.supervisor("hang"), desk.claim(message))
    os.kill(eventually(lambda: _pid(desk)), signal.SIGKILL)

    assert running.join() == "failed"
    error = desk.ledger.job(message.job_id).error
    assert (error.code, "SIGKILL" in error.message) == ("RUNNER_CRASHED", True)


def test_kill_9_while_the_kernel_counts_a_memory_kill_is_out_of_memory(desk, in_thread, eventually, monkeypatch):
    kills = iter([4, 5])
    monkeypatch.setattr("workers.supervisor.count_memory_kills", lambda: next(kills))
    message = desk.submit()
    running = in_thread(desk.supervisor("hang"), desk.claim(message))
    os.kill(eventually(lambda: _pid(desk)), signal.SIGKILL)

    assert running.join() == "failed"
    assert desk.ledger.job(message.job_id).error.code == "OUT_OF_MEMORY"


def test_cancel_ends_the_child_and_keeps_nothing(desk, in_thread, eventually, is_running):
    message = desk.submit()
    running = in_thread(desk.supervisor("hang"), desk.claim(message))
    pid = eventually(lambda: _pid(desk))
    desk.ledger.request(message.job_id, "cancel")

    assert running.join() == "cancelled"
    job = desk.ledger.job(message.job_id)
    assert (job.state, job.result) == ("cancelled", None)
    assert not is_running(pid)


def test_stop_is_passed_on_and_the_result_kept(desk, in_thread, eventually):
    message = desk.submit()
    running = in_thread(desk.supervisor("obey_stop"), desk.claim(message))
    eventually(lambda: desk.ledger.job(message.job_id).phase == "search")
    desk.ledger.request(message.job_id, "stop")

    assert running.join() == "succeeded"
    assert desk.ledger.job(message.job_id).result.steps == 7


def test_a_lease_shorter_than_the_job_is_renewed(desk):
    message = desk.submit()
    lease = desk.claim(message, lease_s=0.6)

    outcome = desk.supervisor("slow", lease_s=0.6).run(lease)

    assert outcome == "succeeded"
    assert desk.ledger.job(message.job_id).attempt == 1


def test_a_worker_that_shuts_down_gives_the_job_back(desk, in_thread, eventually, is_running):
    message = desk.submit()
    supervisor = desk.supervisor("hang")
    running = in_thread(supervisor, desk.claim(message))
    pid = eventually(lambda: _pid(desk))
    supervisor.stopping.set()

    assert running.join() == "released"
    job = desk.ledger.job(message.job_id)
    assert (job.state, job.attempt) == ("queued", 2)
    assert not is_running(pid)


def test_nothing_is_written_once_the_lease_is_anothers(desk, in_thread, eventually, is_running):
    message = desk.submit()
    lease = desk.claim(message)
    running = in_thread(desk.supervisor("hang"), lease)
    pid = eventually(lambda: _pid(desk))
    eventually(lambda: desk.ledger.job(message.job_id).phase == "search")  # nothing is left to say: renewal must notice
    desk.ledger.release(lease)  # as a reaper would
    again = desk.claim(message.model_copy(update={"attempt": 2}), worker_id="another")

    assert running.join() == "lost"
    job = desk.ledger.job(message.job_id)
    assert (job.state, job.attempt) == ("running", again.attempt)
    assert not is_running(pid)


def test_a_new_attempt_clears_what_a_killed_one_left(desk):
    message = desk.submit()
    leftover = desk.work_root / f"{message.job_id}-0"
    (leftover / "out").mkdir(parents=True)
    (leftover / "model").write_bytes(b"large")
    desk.supervisor("succeed").run(desk.claim(message))

    assert not (leftover / "model").exists()


def test_a_missing_blob_fails_the_job_before_a_child_starts(desk):
    message = desk.submit()
    sha256_of_model = sha256(b"a model").hexdigest()
    next(desk.folder.glob(f"blobs/**/{sha256_of_model}")).unlink()

    assert desk.supervisor("succeed").run(desk.claim(message)) == "failed"
    assert desk.ledger.job(message.job_id).error.code == "NOT_FOUND"


@pytest.fixture
def away(desk):
    """The blob store's folder is a file until it is mended: reading and writing fail, whoever asks."""
    blobs, hidden = desk.folder / "blobs", desk.folder / "hidden"

    class Away:
        def begin(self):
            blobs.rename(hidden)
            blobs.touch()

        def end(self):
            blobs.unlink()
            hidden.rename(blobs)

    return Away()


def test_a_storage_that_is_away_for_a_moment_costs_no_attempt(desk, in_thread, eventually, away):
    message = desk.submit()
    patient = dataclasses.replace(desk.supervisor("obey_stop"), storage_waits_s=(0.1,) * 600)
    running = in_thread(patient, desk.claim(message))
    eventually(lambda: desk.ledger.job(message.job_id).phase == "search")
    away.begin()
    desk.ledger.request(message.job_id, "stop")
    eventually(lambda: any(desk.work_root.glob("*/out/model.sterna")))
    time.sleep(0.2)
    away.end()

    assert running.join() == "succeeded"
    assert desk.ledger.job(message.job_id).attempt == 1


@pytest.mark.parametrize("behaviour", ["obey_stop", "hang"])
def test_a_storage_that_stays_away_is_told_by_its_name(desk, in_thread, eventually, away, behaviour):
    message = desk.submit()
    lease = desk.claim(message)
    if behaviour == "hang":
        away.begin()  # before the model is fetched
    running = in_thread(desk.supervisor(behaviour), lease)
    if behaviour == "obey_stop":
        eventually(lambda: desk.ledger.job(message.job_id).phase == "search")
        away.begin()
        desk.ledger.request(message.job_id, "stop")

    assert running.join() == "failed"
    job = desk.ledger.job(message.job_id)
    assert (job.error.code, job.attempt) == ("STORAGE_UNAVAILABLE", 1)
    assert job.error.hint


def test_a_work_folder_that_cannot_be_made_is_told_by_its_name(desk):
    message = desk.submit()
    desk.work_root.touch()
    assert desk.supervisor("succeed").run(desk.claim(message)) == "failed"
    assert desk.ledger.job(message.job_id).error.code == "STORAGE_UNAVAILABLE"


def test_a_cancel_ends_the_wait_for_the_storage(desk, in_thread, away):
    message = desk.submit()
    lease = desk.claim(message)
    away.begin()
    running = in_thread(dataclasses.replace(desk.supervisor("succeed"), storage_waits_s=(600.0,)), lease)
    desk.ledger.request(message.job_id, "cancel")
    assert running.join() == "cancelled"


def test_the_real_runner_is_the_default():
    assert Supervisor.__dataclass_fields__["command"].default[1:] == ("-m", "workers.runner")


def _pid(desk):
    path = desk.work_root / "pid"
    return int(path.read_text() or 0) if path.exists() else 0


def test_a_long_curve_is_thinned_and_the_newest_figures_are_shown(desk):
    outcome, job = desk.run("talkative")
    assert outcome == "succeeded"
    events = desk.ledger.events(job.id, limit=10_000).events
    steps = [event.body.step for event in events if event.body.kind == "progress"]
    assert (steps[0], steps[-1], len(steps)) == (0, 5000, 1001)
    assert (job.progress.step, job.latest.loss) == (5000, 1 / 5001)
    assert [event.id for event in events] == list(range(1, len(events) + 1))


@pytest.mark.parametrize(("behaviour", "words"), [("talkative", "words for the log\n"), ("crash", "last words\n")])
def test_the_log_of_the_runner_is_kept_however_it_ends(desk, behaviour, words):
    _, job = desk.run(behaviour)
    assert desk.ledger.log(job.id) == (1, words)


def test_a_result_that_names_a_file_twice_is_refused(desk):
    _, job = desk.run("twice")
    assert job.error.code == "RUNNER_CRASHED"
    assert "twice" in job.error.message


def test_a_result_that_is_read_long_after_the_runner_has_ended_counts(desk, monkeypatch):
    real = Child._put
    monkeypatch.setattr(Child, "_put", lambda self, item: time.sleep(0.3) or real(self, item))
    outcome, job = desk.run("succeed")
    assert (outcome, job.error) == ("succeeded", None)
