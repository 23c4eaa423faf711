from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from api_schemas import JobMessage, JobSpec, UploadRequest
from storage import BlobStore, Ledger
from workers.confinement import LimitsAlone, find_bubblewrap
from workers.limits import RunnerLimits
from workers.slots import Slot
from workers.supervisor import Supervisor
from workers.warm_runners import WarmRunner

SLOT = Slot("cpu-0", 1)
STAND_IN = Path(__file__).with_name("stand_in.py")
LIMITS = RunnerLimits(wall_s=120, silence_s=120, grace_s=0.3, line_bytes=100_000, lines=10_000)


@dataclass
class Desk:
    """A ledger, a blob store and a work folder, and what tests do with them."""

    ledger: Ledger
    blobs: BlobStore
    folder: Path

    @property
    def work_root(self) -> Path:
        return self.folder / "work"

    def upload(self, content: bytes, name: str = "model.pt2") -> str:
        path = self.folder / name
        path.write_bytes(content)
        sha256, size_bytes = self.blobs.put_file(path)
        request = UploadRequest(filename=name, bytes=size_bytes, sha256=sha256)
        return self.ledger.create_upload(request, part_bytes=1000, complete=True).id

    def submit(self, **fields) -> JobMessage:
        spec = JobSpec(**({"model": self.upload(b"a model"), "target_sparsity": 0.5} | fields))
        return JobMessage(job_id=self.ledger.submit(spec).id, attempt=1)

    def claim(self, message: JobMessage, *, lease_s: float = 30, worker_id: str = "tester"):
        lease = self.ledger.claim(message, worker_id=worker_id, lease_s=lease_s)
        assert lease is not None
        return lease

    def supervisor(
        self, behaviour: str, *, lease_s: float = 0.6, slot: Slot = SLOT, warm: WarmRunner | None = None, **limits
    ) -> Supervisor:
        return Supervisor(
            self.ledger,
            self.blobs,
            self.work_root,
            lease_s,
            LIMITS.model_copy(update=limits),
            command=(sys.executable, str(STAND_IN), behaviour),
            slot=slot,
            warm=warm,
            storage_waits_s=(0.3, 0.3, 0.3),
        )

    def run(self, behaviour: str, **limits):
        """Submit, claim and run one job; how it ended and the job afterwards."""
        message = self.submit()
        outcome = self.supervisor(behaviour, **limits).run(self.claim(message))
        return outcome, self.ledger.job(message.job_id)

    def bodies(self, job_id: str):
        return [event.body for event in self.ledger.events(job_id).events]


@pytest.fixture(scope="session")
def bubblewrap(tmp_path_factory):
    """Bubblewrap, where it works."""
    folder = tmp_path_factory.mktemp("installation")
    found = find_bubblewrap(folder, folder / "work")
    if isinstance(found, str):
        pytest.skip(f"bubblewrap does not work here: {found}")
    return found


@pytest.fixture(params=["limits", "bubblewrap"])
def walls(request):
    """Each way in which a runner can be held."""
    return LimitsAlone() if request.param == "limits" else request.getfixturevalue("bubblewrap")


@pytest.fixture
def desk(tmp_path):
    ledger = Ledger.open(f"sqlite:///{tmp_path}/sterna.db")
    yield Desk(ledger, BlobStore.open(f"file://{tmp_path}/blobs"), tmp_path)
    ledger.close()


@dataclass
class Running:
    """A supervisor at work in a thread."""

    thread: threading.Thread
    outcome: list[str]

    def join(self, timeout_s: float = 60) -> str:
        self.thread.join(timeout_s)
        assert not self.thread.is_alive(), "the supervisor did not end"
        return self.outcome[0]


@pytest.fixture
def in_thread():
    def start(supervisor: Supervisor, lease) -> Running:
        outcome: list[str] = []
        thread = threading.Thread(target=lambda: outcome.append(supervisor.run(lease)))
        thread.start()
        return Running(thread, outcome)

    return start


@pytest.fixture
def eventually():
    def wait(condition, timeout_s: float = 60):
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            found = condition()
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"not within {timeout_s} s: {condition}")

    return wait


@pytest.fixture
def is_running():
    def ask(pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"

    return ask
