"""Real runner processes that have been made to do a stranger's will, in walls and without: each ends as it should.

Every attack is the body of `compress` in the real runner: the code that a hole in the readers would let a file run.
"""

import dataclasses
import json
import os
import socket
import sys
import textwrap
import uuid
from pathlib import Path

import pytest

from api_schemas.queue import JobMessage
from workers.supervisor import Supervisor

MB = 10**6
PRELUDE = """
import ctypes, json, os, signal, socket, sys, time, types
from pathlib import Path
from api_schemas import ArtifactRef, Result
from api_schemas.events import Message
stub = types.ModuleType("sterna.compress")
def compress(model, data, spec, out, *, on_event, control, checkpointing):
{body}
stub.compress = compress
sys.modules["sterna.compress"] = stub
from workers.runner import main
raise SystemExit(main(sys.argv[1:]))
# {mark}
"""
SOUND = """
from sterna.digest import file_digest
(out / "model.sterna").write_bytes(b"packed")
packed = ArtifactRef(name="model.sterna", sha256=file_digest(out / "model.sterna"), bytes=6, media_type="a/b")
figures = dict.fromkeys(Result.model_fields, 1) | {"metric": None, "warnings": (), "layers": (), "trials": ()}
return Result(**figures | {"artifacts": (packed,), "target_met": True})
"""


@dataclasses.dataclass
class Crime:
    """One attack after another on one supervisor."""

    desk: object
    supervisor: Supervisor
    mark: str = dataclasses.field(default_factory=lambda: uuid.uuid4().hex)

    def commit(self, body: str, *, loot: object = None, **limits):
        """Run a job whose runner does this; how the job ended. `loot` is what the attack knows beforehand."""
        body = f"loot = {loot!r}\n{textwrap.dedent(body)}"
        script = PRELUDE.format(body=textwrap.indent(body, "    "), mark=self.mark)
        supervisor = dataclasses.replace(
            self.supervisor,
            command=(sys.executable, "-c", script),
            limits=self.supervisor.limits.model_copy(update=limits),
        )
        message: JobMessage = self.desk.submit()
        supervisor.run(self.desk.claim(message))
        return self.desk.ledger.job(message.job_id)

    def loot(self, job) -> list[str]:
        """What the attack says that it has got."""
        told = [body.text for body in self.desk.bodies(job.id) if body.kind == "message" and body.code == "LOOT"]
        assert told, job.error
        return json.loads(told[0])

    def survivors(self) -> list[int]:
        """Processes of these attacks that still run."""
        mine = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and int(entry.name) != os.getpid()]
        return [int(entry.name) for entry in mine if self.mark in _read(entry / "cmdline")]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


@pytest.fixture
def crime(desk, walls):
    return Crime(desk, dataclasses.replace(desk.supervisor("none"), confinement=walls))


@pytest.fixture
def walled_crime(desk, bubblewrap):
    return Crime(desk, dataclasses.replace(desk.supervisor("none"), confinement=bubblewrap))


@pytest.mark.parametrize(
    ("body", "limits", "code", "words"),
    [
        ("hoard = [bytearray(50_000_000) for _ in range(1000)]", {"memory_bytes": 600 * MB}, "OUT_OF_MEMORY", "memory"),
        ("while True: pass", {"cpu_s": 1}, "TIME_LIMIT", "processor time"),
        ("time.sleep(600)", {"silence_s": 1.0}, "TIME_LIMIT", "counts as hung"),
        ("on_event(Message(code='A', text='b')); time.sleep(600)", {"wall_s": 1.0}, "TIME_LIMIT", "one attempt"),
        ("ctypes.string_at(0)", {}, "RUNNER_CRASHED", "SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGKILL)", {}, "RUNNER_CRASHED", "SIGKILL"),
        ("os._exit(0)", {}, "RUNNER_CRASHED", "exit code 0"),
        ("(out / 'large').write_bytes(bytes(3_000_000))", {"file_bytes": 2 * MB}, "DISK_LIMIT", "larger"),
        ("raise OSError(28, 'No space left on device')", {}, "STORAGE_UNAVAILABLE", "full"),
        (
            """
            for number in range(40):
                (out / str(number)).write_bytes(bytes(1_000_000))
            time.sleep(60)
            """,
            {"disk_bytes": 10 * MB},
            "DISK_LIMIT",
            "wrote more than",
        ),
        (
            """
            for number in range(400):
                (out / str(number)).touch()
            time.sleep(60)
            """,
            {"files": 300},
            "DISK_LIMIT",
            "300 files",
        ),
        (
            """
            children = 0
            while children < 40 and (pid := os.fork()):
                children += 1
            time.sleep(60)
            """,
            {"processes": 20},
            "RUNNER_CRASHED",
            "processes and threads",
        ),
        (
            """
            children = 0
            while children < 6 and (pid := os.fork()):
                children += 1
            hoard = b"x" * 100_000_000
            time.sleep(60)
            """,
            {"memory_bytes": 400 * MB},
            "OUT_OF_MEMORY",
            "processes used",
        ),
    ],
    ids=["allocate", "spin", "hang", "last for ever", "segfault", "die", "leave", "large file", "full disk", "disk",
         "files", "fork", "allocate together"],
)  # fmt: skip
def test_every_attack_has_its_typed_end(crime, body, limits, code, words):
    job = crime.commit(body, **limits)

    assert (job.state, job.error.code) == ("failed", code), job.error
    assert words in job.error.message
    assert crime.survivors() == []


def test_after_every_attack_comes_the_next_job(crime):
    ends = [
        crime.commit("os.kill(os.getpid(), signal.SIGKILL)"),
        crime.commit("time.sleep(600)", silence_s=0.7),
        crime.commit("bytearray(2_000_000_000)", memory_bytes=600 * MB),
        crime.commit(SOUND),
    ]
    assert [job.state for job in ends] == ["failed", "failed", "failed", "succeeded"]
    assert [job.error and job.error.code for job in ends] == ["RUNNER_CRASHED", "TIME_LIMIT", "OUT_OF_MEMORY", None]


SNOOP = """
found = []
for path in loot:
    try:
        if "pin" in Path(path).read_text(errors="replace"):
            found.append(path)
    except OSError:
        pass
on_event(Message(code="LOOT", text=json.dumps(found)))
"""
WRITE = """
written = []
for path in loot:
    try:
        Path(path).write_text("mine")
        written.append(path)
    except OSError:
        pass
on_event(Message(code="LOOT", text=json.dumps(written)))
"""
CONNECT = """
reached = []
for address in loot:
    try:
        socket.create_connection(tuple(address), timeout=2).close()
        reached.append(address)
    except OSError:
        pass
on_event(Message(code="LOOT", text=json.dumps(reached)))
"""


@pytest.fixture
def secrets(tmp_path, desk):
    """Files that no job may see: beside the work folders, in another job's, in the temporary folder."""
    other = desk.work_root / "job_other-1" / "model"
    files = [tmp_path / "keys", other]
    other.parent.mkdir(parents=True)
    for file in files:
        file.write_text("pin 1234")
    return [str(file) for file in files]


def test_without_walls_the_files_of_others_can_be_read_and_written(crime, secrets, walls):
    """What `limits` means, and that the attacks of the next tests are real ones."""
    in_walls = walls.name == "bubblewrap"
    found = crime.loot(crime.commit(SNOOP + SOUND, loot=secrets))
    written = crime.loot(crime.commit(WRITE + SOUND, loot=secrets))
    assert found == written == ([] if in_walls else secrets)
    assert {Path(file).read_text() for file in secrets} == {"pin 1234" if in_walls else "mine"}


def test_inside_walls_nothing_outside_the_folder_can_be_written(walled_crime, tmp_path):
    code = Path(__file__).parents[2]
    places = [tmp_path / "x", code / "sterna" / "x.py", code / "x", Path(sys.prefix) / "x", Path("/usr/x"), Path("/x")]
    places += map(Path, ("/etc/x", "/dev/x", "/proc/sys/vm/swappiness", "/proc/self/oom_score_adj"))
    places += map(Path, ("/job/model", "/job/spec.json", "/job/runner.log", "/job/x"))
    before = Path("/proc/sys/vm/swappiness").read_text()
    job = walled_crime.commit(WRITE + SOUND, loot=[str(place) for place in places])
    # Beside code that lies in /tmp a runner finds its own, private /tmp; nothing arrives in the machine's.
    its_own = [str(code / "x")] if code.is_relative_to("/tmp") else []  # noqa: S108
    assert walled_crime.loot(job) == its_own
    assert job.state == "succeeded"
    assert not any(place.exists() for place in places if place.name.startswith("x"))
    assert Path("/proc/sys/vm/swappiness").read_text() == before


def test_inside_walls_there_is_no_network(crime, walls):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = list(listener.getsockname())
        reached = crime.loot(crime.commit(CONNECT + SOUND, loot=[address]))
    assert reached == ([] if walls.name == "bubblewrap" else [address])


def test_inside_walls_there_are_no_other_processes(walled_crime):
    body = """
    on_event(Message(code="LOOT", text=json.dumps([name for name in os.listdir("/proc") if name.isdigit()])))
    """
    assert len(walled_crime.loot(walled_crime.commit(textwrap.dedent(body) + SOUND))) <= 3


def test_inside_walls_there_are_no_powers(walled_crime):
    body = """
    text = Path("/proc/self/status").read_text()
    fields = dict(line.split(":", 1) for line in text.splitlines())
    powers = [fields[name].strip() for name in ("CapEff", "CapPrm", "CapBnd", "NoNewPrivs", "Uid")]
    on_event(Message(code="LOOT", text=json.dumps(powers)))
    """
    nothing = "0" * 16
    user = "\t".join(["65534"] * 4)
    assert walled_crime.loot(walled_crime.commit(textwrap.dedent(body) + SOUND)) == [nothing] * 3 + ["1", user]


def test_no_daemon_outlives_the_walls(walled_crime, eventually):
    body = """
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(120)
        os._exit(0)
    os.wait()
    """
    assert walled_crime.commit(textwrap.dedent(body) + SOUND).state == "succeeded"
    eventually(lambda: walled_crime.survivors() == [])


def test_a_daemon_inside_walls_is_counted(walled_crime):
    body = """
    if os.fork() == 0:
        os.setsid()
        children = 0
        while children < 40 and os.fork():
            children += 1
        time.sleep(60)
    time.sleep(60)
    """
    error = walled_crime.commit(body, processes=20).error
    assert (error.code, "processes and threads" in error.message) == ("RUNNER_CRASHED", True)


def test_an_out_folder_that_became_a_link_is_not_followed(crime, tmp_path, walls):
    target = tmp_path / "elsewhere"
    target.mkdir()
    (target / "model.sterna").write_bytes(b"packed")
    body = """
    try:
        out.rename(out.parent / "moved")
        out.symlink_to(loot)
    except OSError:
        pass
    """
    job = crime.commit(textwrap.dedent(body) + SOUND, loot=str(target))
    assert job.state == ("succeeded" if walls.name == "bubblewrap" else "failed")
    assert job.error is None or job.error.code == "RUNNER_CRASHED"
