"""A blob store whose disk is full: what a sender is told, what becomes of a job, what is left lying about."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from api_schemas import Job
from sterna.client import Client
from storage import Settings
from tests.chaos.processes import Service, Worker
from tests.chaos.workload import LONG, Files, spec_of, write_files

DISK_BYTES = 4 * 2**20
_WAIT_S = 300.0


@dataclass(frozen=True, slots=True)
class FullDisk:
    """What was seen.

    Attributes:
        refusal: status and code of a submission, and of a part of an upload.
        patient: state of a job whose disk was full when it ended and had room again soon after.
        impatient: state and code of one whose disk stayed full until its worker's patience was over.
        afterwards: state of a job once there was room.
        leftovers: files that the failures left, by their path in the store.
        damaged: files whose bytes are not those of their name.
    """

    refusals: tuple[tuple[int, str], ...]
    patient: str
    impatient: tuple[str, str]
    afterwards: str
    leftovers: tuple[str, ...]
    damaged: tuple[str, ...]


def can_mount() -> bool:
    """Whether this user may make a small file system."""
    return os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], check=False).returncode == 0


def run_full_disk(folder: Path, *options: str) -> FullDisk:
    """An embedded installation whose blobs have a disk of 4 MiB, which is filled again and again.

    Args:
        folder: for everything.
        options: of `tests.chaos.worker`.
    """
    folder.mkdir(exist_ok=True)
    files = write_files(folder)
    with small_disk(folder / "disk") as disk:
        settings = Settings(data_dir=folder / "data", storage_url=(disk / "blobs").as_uri()).prepared()
        environment = _environment(settings)
        with Service(environment) as service, Client(service.url) as client:
            # Known content is not written again, so these go through whatever the disk has.
            for file in (files.model, files.data):
                client.upload(file)
            known = _files_of(disk)
            with filled(disk):
                refusals = (_submit_unknown(service, folder), _upload_unknown(service, folder))
            with Worker("worker", environment, "--impatient", *options):
                patient = _job_through_full_disk(client, files, LONG[0], disk, free_after_s=1.5)
                impatient = _job_through_full_disk(client, files, LONG[1], disk, free_after_s=_WAIT_S)
                afterwards = client.wait(_submit(client, files, LONG[1]).id, timeout_s=_WAIT_S)
        artifacts = {one.sha256 for job in (patient, afterwards) if job.result for one in job.result.artifacts}
        # What is under `uploads/` belongs to an upload that is still to be completed.
        there = [path for path in _files_of(disk) if "uploads" not in path.parts]
        left = [path for path in there if path not in known and path.name not in artifacts]
        damaged = [path for path in there if path not in left and _digest(path) != path.name]
    return FullDisk(
        refusals,
        patient.state,
        (impatient.state, impatient.error.code if impatient.error else ""),
        afterwards.state,
        tuple(str(path.relative_to(disk)) for path in left),
        tuple(str(path.relative_to(disk)) for path in damaged),
    )


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """A file system of its own, in memory; needs root."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """No byte is free within the block."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size_bytes in (2**16, 2**12, 1):
            try:
                while True:
                    file.write(b"\0" * size_bytes)
            except OSError:
                continue
    try:
        yield
    finally:
        filler.unlink()


def _environment(settings: Settings) -> dict[str, str]:
    addresses = {
        "STERNA_BROKER_URL": settings.broker_url,
        "STERNA_DATABASE_URL": settings.database_url,
        "STERNA_STORAGE_URL": settings.storage_url,
        "STERNA_DATA_DIR": str(settings.data_dir),
    }
    small = {"STERNA_RUNNERS": "1", "STERNA_GPUS": "none", "STERNA_SANDBOX": "off", "STERNA_WARM_RUNNERS": "0"}
    return addresses | small | {"STERNA_BEAT_S": "1", "STERNA_CHECKPOINT_S": "2", "OMP_NUM_THREADS": "1"}


def _job_through_full_disk(client: Client, files: Files, case: str, disk: Path, *, free_after_s: float) -> Job:
    """A job whose disk is full from when it trains until so long after it began to pack, or until it has ended."""
    job_id = _submit(client, files, case).id
    _until(lambda: client.job(job_id).phase == "search")
    with filled(disk):
        _until(lambda: client.job(job_id).phase in {"pack", "export", None})
        # Packed: from here on it has to be stored. A state that is final has no phase.
        until = time.monotonic() + free_after_s
        while time.monotonic() < until and client.job(job_id).state == "running":
            time.sleep(0.1)
    return client.wait(job_id, timeout_s=_WAIT_S)


def _submit(client: Client, files: Files, case: str) -> Job:
    return client.submit(files.model, files.data, spec_of(case))


def _submit_unknown(service: Service, folder: Path) -> tuple[int, str]:
    """A job with a model that the store does not have."""
    other = folder / "other"
    other.mkdir()
    files = write_files(other, seed=1)
    with files.model.open("rb") as model, files.data.open("rb") as data:
        form = {"model": ("m.pt2", model), "data": ("d.npz", data)}
        spec = {"spec": '{"target_sparsity": 0.5}'}
        return _refusal(httpx.post(f"{service.url}/v1/jobs", data=spec, files=form, timeout=60, trust_env=False))


def _upload_unknown(service: Service, folder: Path) -> tuple[int, str]:
    """A part of an upload."""
    del folder
    content = os.urandom(2**16)
    wanted = {"filename": "random", "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as http:
        created = http.post("/v1/uploads", json=wanted)
        if not created.is_success:
            return _refusal(created)
        return _refusal(http.put(f"/v1/uploads/{created.json()['id']}/parts/0", content=content))


def _refusal(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json().get("code", "")


def _files_of(disk: Path) -> list[Path]:
    return sorted(path for path in disk.rglob("*") if path.is_file())


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.05)
