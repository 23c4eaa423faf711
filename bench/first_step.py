"""`python -m bench.first_step [N]`: seconds from a submission to the first progress point, cold and warm in turn.

One worker process with one slot and an embedded installation each: with a runner started ahead (`STERNA_WARM_RUNNERS`)
and without. N jobs each (10), one after the other, each sent once the slot is idle and, where there is one, its runner
has loaded everything.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from celery import Celery

from api_schemas import Budget, JobMessage, JobSpec, UploadRequest
from api_schemas.queue import RUN_JOB_TASK
from storage import BlobStore, Ledger, Settings

SETTLE_S = 10.0
_PATIENCE_S = 300.0


class House:
    """An embedded installation in a folder with one network and its data."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(data_dir=folder).prepared()
        self.ledger = Ledger.open(self.settings.database_url)
        self._blobs = BlobStore.open(self.settings.storage_url)
        network = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
        batch = torch.export.Dim("batch", max=4096)
        program = torch.export.export(network, (torch.randn(64, 64),), dynamic_shapes=({0: batch},))
        torch.export.save(program, folder / "model.pt2")
        rng = np.random.default_rng(0)
        x = rng.standard_normal((1000, 64), dtype=np.float32)
        np.savez(folder / "data.npz", input=x, target=rng.integers(0, 10, 1000))
        self._model, self._data = (self._upload(folder / name) for name in ("model.pt2", "data.npz"))

    def _upload(self, path: Path) -> str:
        sha256, size_bytes = self._blobs.put_file(path)
        request = UploadRequest(filename=path.name, bytes=size_bytes, sha256=sha256)
        return self.ledger.create_upload(request, part_bytes=2**20, complete=True).id

    @contextmanager
    def worker(self, *, warm: bool) -> Iterator[None]:
        """The worker process, from its first beat."""
        settings = {"STERNA_DATA_DIR": str(self.settings.data_dir), "STERNA_RUNNERS": "1"}
        environment = os.environ | settings | {"STERNA_WARM_RUNNERS": str(int(warm))}
        with (self.settings.data_dir / "worker.log").open("w") as log:
            worker = subprocess.Popen([sys.executable, "-m", "workers"], env=environment, stdout=log, stderr=log)
            try:
                _wait(lambda: self.ledger.alive_workers(within_s=60) > 0)
                yield
            finally:
                worker.terminate()
                worker.wait(timeout=60)

    def seconds(self) -> float:
        """Of one job, from its row to the first progress point in the ledger."""
        began = time.monotonic()
        spec = JobSpec(model=self._model, data=self._data, target_sparsity=0.7, budget=Budget(epochs=1))
        job_id = self.ledger.submit(spec).id
        with Celery("sender", set_as_current=False) as sender:
            sender.conf.update(self.settings.queue_options())
            sender.send_task(RUN_JOB_TASK, kwargs=JobMessage(job_id=job_id, attempt=1).model_dump())
        _wait(lambda: self.ledger.job(job_id).progress.step > 0 or self.ledger.job(job_id).state == "failed")
        taken = time.monotonic() - began
        _wait(lambda: self.ledger.job(job_id).state in {"succeeded", "failed"})
        job = self.ledger.job(job_id)
        assert job.state == "succeeded", job.error
        return taken


def _wait(condition: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    taken: dict[str, list[float]] = {"cold": [], "warm": []}
    with tempfile.TemporaryDirectory(prefix="sterna-first-step-") as cold, tempfile.TemporaryDirectory() as warm:
        houses = {"cold": House(Path(cold)), "warm": House(Path(warm))}
        with houses["cold"].worker(warm=False), houses["warm"].worker(warm=True):
            for _ in range(count):
                for name, house in houses.items():
                    time.sleep(SETTLE_S)
                    taken[name].append(house.seconds())
    for name, seconds in taken.items():
        low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
        print(f"{name}: median {middle:.2f} s of {count} (from {low:.2f} to {high:.2f} s) to the first progress point")


if __name__ == "__main__":
    main()
