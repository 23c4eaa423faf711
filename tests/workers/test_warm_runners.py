import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sterna.artifact import Artifact
from workers import warm_runners
from workers.confinement import RUNNER_COMMAND, LimitsAlone
from workers.launcher import Launcher
from workers.limits import RunnerLimits
from workers.slots import Slot
from workers.supervisor import Supervisor
from workers.warm_runners import WarmRunners, available_memory

SLOT = Slot("cpu-0", 1)
STAND_IN = Path(__file__).with_name("stand_in.py").read_text()
"""Its text and not its path, which a runner inside bubblewrap could not see."""


@pytest.fixture
def warmed(desk):
    """Runners that wait, of a behaviour of the stand-in or of the real command; all are ended afterwards."""
    made = []

    def make(behaviour=None, walls=None, **limits):
        command = RUNNER_COMMAND if behaviour is None else (sys.executable, "-c", STAND_IN, behaviour)
        launcher = Launcher(walls or LimitsAlone(), RunnerLimits(**limits), command)
        runners = WarmRunners(launcher, desk.work_root)
        made.append(runners)
        runners.prepare(SLOT)
        return runners

    yield make
    for runners in made:
        runners.close()


def told(desk, job_id):
    return {body.code: body.text for body in desk.bodies(job_id) if body.kind == "message"}


def test_a_job_runs_in_the_runner_that_waited_as_it_would_in_any_other(desk, warmed, walls):
    warm = warmed("show_environment", walls).take(SLOT)
    message = desk.submit()
    supervisor = Supervisor(desk.ledger, desk.blobs, desk.work_root, 30.0, confinement=walls, warm=warm, slot=SLOT)
    assert supervisor.run(desk.claim(message)) == "succeeded"
    words = told(desk, message.job_id)
    assert {"model", "out", "spec.json", "tmp"} <= set(json.loads(words["FILES"]))
    assert "STERNA" not in words["ENVIRONMENT"]
    if walls.name == "limits":
        assert int(words["PID"]) == warm.child.pid
    assert list(desk.work_root.iterdir()) == []


@pytest.mark.parametrize("behaviour", ["dies_early", "dies_late"])
def test_a_runner_that_died_is_not_missed(desk, warmed, behaviour, eventually):
    runners = warmed(behaviour)
    if behaviour == "dies_early":
        eventually(runners._waiting[SLOT.name].child.exited)
    warm = runners.take(SLOT)
    assert (warm is None) == (behaviour == "dies_early")
    message = desk.submit()
    assert desk.supervisor(behaviour, warm=warm).run(desk.claim(message)) == "succeeded"
    assert desk.ledger.job(message.job_id).result.steps == 3


def test_what_a_job_does_to_its_runner_is_the_jobs_failure(desk, warmed):
    """It had said something: no second try, whatever started it."""
    message = desk.submit()
    assert desk.supervisor("crash", warm=warmed("crash").take(SLOT)).run(desk.claim(message)) == "failed"
    job = desk.ledger.job(message.job_id)
    assert (job.error.code, job.attempt) == ("RUNNER_CRASHED", 1)
    log = desk.work_root / f"{job.id}-1" / "runner.log"
    assert log.read_text() == "last words\n"


def test_orders_reach_a_runner_that_waited(desk, warmed, in_thread, eventually):
    message = desk.submit()
    running = in_thread(desk.supervisor("obey_stop", warm=warmed("obey_stop").take(SLOT)), desk.claim(message))
    eventually(lambda: desk.ledger.job(message.job_id).phase == "search")
    desk.ledger.request(message.job_id, "stop")
    assert running.join() == "succeeded"


def test_a_runner_whose_job_never_started_is_ended(desk, warmed, is_running):
    warm = warmed("succeed").take(SLOT)
    lease = desk.claim(desk.submit())
    desk.ledger.request(lease.job.id, "cancel")
    supervisor = desk.supervisor("succeed", warm=warm)
    supervisor.stopping.set()
    assert supervisor.run(lease) in {"cancelled", "released"}
    assert not is_running(warm.child.pid)
    assert list(desk.work_root.glob("warm-*")) == []


def test_each_is_used_once_and_a_slot_has_one(desk, warmed, is_running):
    runners = warmed("succeed")
    runners.prepare(SLOT)
    assert len(list(desk.work_root.iterdir())) == 1
    warm = runners.take(SLOT)
    assert runners.take(SLOT) is None
    warm.end()
    runners.prepare(SLOT)
    other = runners._waiting[SLOT.name].child.pid
    runners.close()
    assert not is_running(other)
    runners.prepare(SLOT)
    assert runners.take(SLOT) is None
    assert list(desk.work_root.iterdir()) == []


def test_none_is_started_where_memory_is_scarce(desk, warmed, monkeypatch):
    monkeypatch.setattr(warm_runners, "available_memory", lambda: warm_runners.SPARE_BYTES - 1)
    assert warmed("succeed").take(SLOT) is None
    assert not desk.work_root.exists()


def test_available_memory_is_what_the_kernel_says(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 8 kB\nMemFree: 1 kB\nMemAvailable:    3 kB\n")
    assert available_memory(tmp_path / "meminfo", ()) == 3072
    assert available_memory(tmp_path / "absent", ()) == math.inf
    assert 0 < available_memory() < 2**50


def test_a_container_has_what_its_group_leaves_it(tmp_path):
    (tmp_path / "meminfo").write_text("MemAvailable:    3 kB\n")
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    (inner / "memory.max").write_text("max\n")
    (inner.parent / "memory.max").write_text("5000\n")
    (inner.parent / "memory.current").write_text("4000\n")
    groups = (inner, inner.parent)
    assert available_memory(tmp_path / "meminfo", groups) == 1000
    (inner.parent / "memory.stat").write_text("anon 1\ninactive_file 500\nactive_file 7\n")
    assert available_memory(tmp_path / "meminfo", groups) == 1500
    (inner.parent / "memory.max").write_text("9999\n")
    assert available_memory(tmp_path / "meminfo", groups) == 3072


def test_the_age_of_a_folder_that_waits_is_its_last_upkeep(desk, warmed):
    runners = warmed("succeed")
    (folder,) = desk.work_root.iterdir()
    os.utime(folder, (0, 0))
    runners.keep()
    assert time.time() - folder.stat().st_mtime < 60


def test_a_real_network_in_a_real_runner_that_waited(desk, warmed, walls, mlp):
    model, data = desk.upload(mlp.model.read_bytes(), "mlp.pt2"), desk.upload(mlp.data.read_bytes(), "mlp.npz")
    message = desk.submit(model=model, data=data, target_sparsity=0.7, budget={"epochs": 1})
    warm = warmed(None, walls).take(SLOT)
    supervisor = Supervisor(desk.ledger, desk.blobs, desk.work_root, 60.0, confinement=walls, warm=warm, slot=SLOT)
    assert supervisor.run(desk.claim(message)) == "succeeded", desk.ledger.job(message.job_id).error
    result = desk.ledger.job(message.job_id).result
    desk.blobs.fetch(result.artifacts[0].sha256, desk.folder / "fetched.sterna")
    with Artifact.open(desk.folder / "fetched.sterna") as artifact:
        assert abs(artifact.sparsity - 0.7) <= 0.0005


LIMITS_OF_A_JOB = """
import resource, sys, time
import workers.runner as runner
def compress(workdir, on_event, control, **_):
    cpu_s, memory = (resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_CPU, resource.RLIMIT_DATA))
    sys.stderr.write(f"{workdir} {cpu_s} {memory}")
    raise runner.RunnerCrashed("enough")
runner.compress_folder = compress
while time.process_time() < 2.5:
    pass
raise SystemExit(runner.main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("options", "words", "folder"), [((), b"", "given"), (("--wait",), b"start the job\n", "the job")]
)
def test_processor_time_before_the_job_is_not_the_jobs(options, words, folder):
    command = [sys.executable, "-c", LIMITS_OF_A_JOB, "given", "--cpu-s=100", f"--memory-bytes={2**33}", *options]
    done = subprocess.run(command, input=words, capture_output=True, check=False, timeout=120)
    where, cpu_s, memory = done.stderr.decode().rsplit(" ", 2)
    assert (where, int(memory)) == (folder, 2**33)
    assert int(cpu_s) == 100 if not options else 103 <= int(cpu_s) <= 160


@pytest.mark.parametrize("words", [b"", b"cancel\n", b"start"])
def test_a_runner_that_hears_of_no_job_ends_in_silence(tmp_path, words):
    command = [*RUNNER_COMMAND, str(tmp_path), "--wait"]
    done = subprocess.run(command, input=words, capture_output=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (0, b"")
