"""The calls of a service as methods with typed answers. Synchronous; one client per thread."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

from api_schemas import (
    ArtifactList,
    ArtifactRef,
    CompressSpec,
    Estimate,
    Event,
    EventList,
    Inspection,
    Job,
    JobList,
    Upload,
)
from api_schemas.sweeps import Sweep
from api_schemas.workers import Worker, WorkerList
from sterna.client.connection import Connection, OnTrouble
from sterna.client.downloads import Source, download_file
from sterna.client.streams import POLL_S, EventStream
from sterna.client.uploads import FileThatIsSent, OnProgress, resume_upload, upload_file
from sterna.client.waiting import JobWait, OnJob, OnSweep, finished_sweep
from sterna.client.webhooks import Webhooks
from sterna.errors import NotFound

ONE_REQUEST_BYTES: Final = 32 * 2**20
"""Model and data up to this size together go in one request; larger ones in parts that survive a broken connection."""
SUBMIT_ANSWER_S: Final = 300.0
"""How long the service may read a model before it says that there is a job; it reads few at a time."""


def _silent(done: int, total: int) -> None:
    del done, total


class Client:
    """A service at an address.

    Args:
        url: such as `http://127.0.0.1:8000`.
        api_key: for services that ask for one.
        on_trouble: hears before each further try why it is made, and how many seconds of patience are left.

    Attributes:
        webhooks: whom the service tells how jobs go.

    Every method raises the class of `sterna.errors` that the service's problem names, and `ServiceUnavailable` when no
    answer came within half a minute of tries.
    """

    def __init__(self, url: str, api_key: str | None = None, *, on_trouble: OnTrouble | None = None) -> None:
        self._connection = Connection(url, api_key, on_trouble)
        self.webhooks = Webhooks(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def upload(self, path: Path, *, on_progress: OnProgress = _silent) -> Upload:
        """Send a file in parts; content that the service knows is not sent again."""
        return upload_file(self._connection, path, on_progress)

    def resume_upload(self, upload_id: str, path: Path, *, on_progress: OnProgress = _silent) -> Upload:
        """Send what an upload still lacks that another process began with the same file."""
        return resume_upload(self._connection, upload_id, path, on_progress)

    def inspection(self, upload_id: str) -> Inspection:
        """What the service can say of an uploaded model without running it."""
        return self._connection.get(f"/v1/uploads/{_safe(upload_id)}/inspection", Inspection)

    def submit(
        self,
        model: Path,
        data: Path | None,
        spec: CompressSpec | Mapping[str, object],
        *,
        labels: Mapping[str, str] | None = None,
        on_progress: OnProgress = _silent,
    ) -> Job:
        """Ask for a compression. Small files go in one request, large ones in parts.

        Args:
            model: the model file.
            data: `.npz` or `.safetensors`; None: inputs are synthesised.
            spec: what is asked for; a mapping is for the service to check.
            labels: kept with the job, to find it by.
            on_progress: hears (bytes sent, bytes in all), of all files where they go in one request, else of each.

        An answer that is lost is asked for again, under one key for the whole submission: no second job is made.
        """
        fields = _fields(spec, labels)
        files = _files(model, data)
        if sum(path.stat().st_size for path in files.values()) <= ONE_REQUEST_BYTES:
            return self._submit_at_once(fields, files, on_progress)
        fields |= self._uploads(files, on_progress)
        return self._connection.post("/v1/jobs", Job, once=True, answer_s=SUBMIT_ANSWER_S, json=fields)

    def submit_sweep(
        self,
        model: Path,
        data: Path | None,
        spec: Mapping[str, object],
        *,
        labels: Mapping[str, str] | None = None,
        on_progress: OnProgress = _silent,
    ) -> Sweep:
        """Ask for a job at each of several sparsities; all of them are made or none.

        Args:
            model: the model file.
            data: as for a submission.
            spec: as of a job, with `targets`, sparsities between 0 and 1, in place of `target_sparsity`.
            labels: kept with each job.
            on_progress: hears (bytes sent, bytes in all) of each file.
        """
        fields = _fields(spec, labels)
        fields |= self._uploads(_files(model, data), on_progress)
        return self._connection.post("/v1/sweeps", Sweep, once=True, answer_s=SUBMIT_ANSWER_S, json=fields)

    def sweep(self, sweep_id: str) -> Sweep:
        """How a sweep stands: a point for each target, with the Pareto points marked."""
        return self._connection.get(f"/v1/sweeps/{_safe(sweep_id)}", Sweep)

    def wait_sweep(self, sweep_id: str, *, timeout_s: float | None = None, on_update: OnSweep | None = None) -> Sweep:
        """Wait until each job of a sweep has ended, however it did; as `wait`."""
        return finished_sweep(self._connection, sweep_id, timeout_s=timeout_s, on_update=on_update)

    def cancel_sweep(self, sweep_id: str) -> Sweep:
        """Throw all jobs of a sweep away; no further round of trials is made."""
        return self._connection.post(f"/v1/sweeps/{_safe(sweep_id)}/cancel", Sweep)

    def stop_sweep(self, sweep_id: str) -> Sweep:
        """Have the running jobs of a sweep finish now with the best so far; those that wait are cancelled."""
        return self._connection.post(f"/v1/sweeps/{_safe(sweep_id)}/stop", Sweep)

    def delete_sweep(self, sweep_id: str) -> None:
        """Remove a sweep that has ended and all its jobs, as `delete` removes one."""
        self._connection.delete(f"/v1/sweeps/{_safe(sweep_id)}")

    def job(self, job_id: str) -> Job:
        """How a job stands."""
        return self._connection.get(f"/v1/jobs/{_safe(job_id)}", Job)

    def jobs(
        self, *, states: Collection[str] = (), labels: Mapping[str, str] | None = None, limit: int | None = None
    ) -> Iterator[Job]:
        """Jobs, newest first, page by page as they are asked for.

        Args:
            states: in any of these; empty: in whatever state.
            labels: that carry all of these.
            limit: at most so many; None: all.
        """
        params: dict[str, str | int | list[str]] = {"state": list(states)}
        params["label"] = [f"{key}={value}" for key, value in (labels or {}).items()]
        given = 0
        while True:
            page = self._connection.get("/v1/jobs", JobList, params=params)
            for job in page.jobs:
                if given == limit:
                    return
                given += 1
                yield job
            if not page.next_page_token:
                return
            params["page_token"] = page.next_page_token

    def wait(self, job_id: str, *, timeout_s: float | None = None, on_update: OnJob | None = None) -> Job:
        """Wait until a job is final, through restarts of the service.

        Args:
            job_id: which.
            timeout_s: patience; None: for ever, as long as the service answers within half a minute of tries.
            on_update: hears how the job stands, about once a second while it moves.

        Returns:
            The job: succeeded, failed or cancelled.

        Raises:
            WaitTimeout: the job goes on.
        """
        return JobWait(self._connection, job_id, timeout_s, on_update).final_job()

    def events(self, job_id: str, *, after: int = 0, follow: bool = False) -> Iterator[Event]:
        """The events of a job after the one with that number; with `follow` as they happen, until the job is final."""
        path = f"/v1/jobs/{_safe(job_id)}/events"
        stream = EventStream(self._connection, path)
        while True:
            page = self._connection.get(path, EventList, params={"after": after})
            yield from page.events
            after = page.events[-1].id if page.events else after
            if page.final or not (page.events or follow):
                return
            if follow and stream.available:
                for event in stream.read(after):
                    if event is not None:
                        after = event.id
                        yield event
            elif not page.events:
                time.sleep(POLL_S)

    def cancel(self, job_id: str) -> Job:
        """Throw a job away."""
        return self._connection.post(f"/v1/jobs/{_safe(job_id)}/cancel", Job)

    def stop(self, job_id: str) -> Job:
        """Have a job finish now with the best so far."""
        return self._connection.post(f"/v1/jobs/{_safe(job_id)}/stop", Job)

    def retry(self, job_id: str) -> Job:
        """Queue a job that failed or was cancelled once more."""
        return self._connection.post(f"/v1/jobs/{_safe(job_id)}/retry", Job, once=True)

    def delete(self, job_id: str) -> None:
        """Remove a job that has ended, with its events, logs, artifacts and the uploads that no other job uses."""
        self._connection.delete(f"/v1/jobs/{_safe(job_id)}")

    def estimate(
        self,
        model: Path,
        data: Path | None,
        spec: CompressSpec | Mapping[str, object],
        *,
        on_progress: OnProgress = _silent,
    ) -> Estimate:
        """What a job would take; none is made. The files are sent as for a submission."""
        fields = _fields(spec, None) | self._uploads(_files(model, data), on_progress)
        return self._connection.post(
            "/v1/jobs/estimate", Estimate, harmless=True, answer_s=SUBMIT_ANSWER_S, json=fields
        )

    def log(self, job_id: str, *, attempt: int | None = None) -> str:
        """The end of what the runner of an attempt wrote to its log; of the newest where none is named."""
        params = {} if attempt is None else {"attempt": attempt}
        return self._connection.text(f"/v1/jobs/{_safe(job_id)}/logs", params=params)

    def workers(self) -> tuple[Worker, ...]:
        """The workers of the installation, those seen last first. Needs the scope `admin`."""
        return self._connection.get("/v1/workers", WorkerList).workers

    def artifacts(self, job_id: str) -> tuple[ArtifactRef, ...]:
        """The files of a job that succeeded."""
        return self._connection.get(f"/v1/jobs/{_safe(job_id)}/artifacts", ArtifactList).artifacts

    def download(self, job_id: str, name: str, path: Path, *, on_progress: OnProgress = _silent) -> Path:
        """Fetch one file of a job, verified against its digest; `path` appears complete or not at all.

        Args:
            job_id: which job.
            name: which of its files.
            path: where it goes; a folder gets it under its own name.
            on_progress: hears (bytes received, bytes in all).

        Returns:
            Where it is.

        Raises:
            NotFound: the job has no such file.
            ArtifactDigestMismatch: the bytes are not those that the service announced.
        """
        artifacts = self.artifacts(job_id)
        found = next((artifact for artifact in artifacts if artifact.name == name), None)
        if found is None:
            there = ", ".join(artifact.name for artifact in artifacts) or "none"
            raise NotFound(f"{job_id} has no artifact {name!r}; there are: {there}")
        target = path / Path(name).name if path.is_dir() else path
        source = Source(f"/v1/jobs/{_safe(job_id)}/artifacts/{_safe(name)}", found)
        download_file(self._connection, source, target, on_progress)
        return target

    def _submit_at_once(self, fields: Mapping[str, object], files: Mapping[str, Path], on_progress: OnProgress) -> Job:
        with ExitStack() as stack:
            opened = {name: stack.enter_context(FileThatIsSent(path)) for name, path in files.items()}
            size_bytes = sum(path.stat().st_size for path in files.values())
            for file in opened.values():
                file.on_read = lambda: on_progress(sum(file.tell() for file in opened.values()), size_bytes)
            form = {name: (files[name].name, file, "application/octet-stream") for name, file in opened.items()}
            return self._connection.post(
                "/v1/jobs", Job, once=True, answer_s=SUBMIT_ANSWER_S, data={"spec": json.dumps(fields)}, files=form
            )

    def _uploads(self, files: Mapping[str, Path], on_progress: OnProgress) -> dict[str, str]:
        return {name: self.upload(path, on_progress=on_progress).id for name, path in files.items()}


def _fields(spec: CompressSpec | Mapping[str, object], labels: Mapping[str, str] | None) -> dict[str, object]:
    fields = dict(spec) if isinstance(spec, Mapping) else spec.model_dump(mode="json")
    return fields if labels is None else fields | {"labels": dict(labels)}


def _files(model: Path, data: Path | None) -> dict[str, Path]:
    return {"model": model} | ({"data": data} if data is not None else {})


def _safe(part: str) -> str:
    """One segment of a path, whatever its characters."""
    return quote(part, safe="")
