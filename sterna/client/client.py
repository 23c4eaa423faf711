"""The calls of a service as methods with typed answers. Synchronous; one client per thread."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

from api_schemas import (
    TERMINAL_STATES,
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
from sterna.client.connection import PATIENCE_S, Connection, OnTrouble
from sterna.client.downloads import Source, download_file
from sterna.client.uploads import OnProgress, upload_file
from sterna.errors import NotFound, WaitTimeout

ONE_REQUEST_BYTES: Final = 32 * 2**20
"""Model and data up to this size together go in one request; larger ones in parts that survive a broken connection."""
SUBMIT_ANSWER_S: Final = 300.0
"""How long the service may read a model before it says that there is a job; it reads few at a time."""
LONG_POLL_S: Final = 20.0
SHOWN_POLL_S: Final = 1.0
"""A long poll ends when the state or the phase changes; progress that somebody watches is asked for more often."""
_POLL_S: Final = 0.5


def _silent(done: int, total: int) -> None:
    del done, total


class Client:
    """A service at an address.

    Args:
        url: such as `http://127.0.0.1:8000`.
        api_key: for services that ask for one.
        on_trouble: hears before each further try why it is made, and how many seconds of patience are left.

    Every method raises the class of `sterna.errors` that the service's problem names, and `ServiceUnavailable` when no
    answer came within half a minute of tries.
    """

    def __init__(self, url: str, api_key: str | None = None, *, on_trouble: OnTrouble | None = None) -> None:
        self._connection = Connection(url, api_key, on_trouble)

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
            on_progress: hears (bytes sent, bytes in all) of files that go in parts.

        An answer that is lost is asked for again, under one key for the whole submission: no second job is made.
        """
        fields = dict(spec) if isinstance(spec, Mapping) else spec.model_dump(mode="json")
        if labels is not None:
            fields["labels"] = dict(labels)
        files = {"model": model} | ({"data": data} if data is not None else {})
        if sum(path.stat().st_size for path in files.values()) <= ONE_REQUEST_BYTES:
            return self._submit_at_once(fields, files)
        uploads = {name: self.upload(path, on_progress=on_progress).id for name, path in files.items()}
        return self._connection.post("/v1/jobs", Job, once=True, answer_s=SUBMIT_ANSWER_S, json=fields | uploads)

    def job(self, job_id: str) -> Job:
        """How a job stands."""
        return self._connection.get(f"/v1/jobs/{_safe(job_id)}", Job)

    def jobs(
        self, *, state: str | None = None, label: tuple[str, str] | None = None, limit: int | None = None
    ) -> Iterator[Job]:
        """Jobs, newest first, page by page as they are asked for."""
        params: dict[str, str | int] = {}
        if state is not None:
            params["state"] = state
        if label is not None:
            params["label"] = f"{label[0]}={label[1]}"
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

    def wait(
        self, job_id: str, *, timeout_s: float | None = None, on_update: Callable[[Job], None] | None = None
    ) -> Job:
        """Wait until a job is final, through restarts of the service.

        Args:
            job_id: which.
            timeout_s: patience; None: for ever, as long as the service answers within half a minute of tries.
            on_update: hears how the job stands, about once a second.

        Returns:
            The job: succeeded, failed or cancelled.

        Raises:
            WaitTimeout: the job goes on.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            job = self._poll(job_id, deadline, LONG_POLL_S if on_update is None else SHOWN_POLL_S)
            if on_update is not None:
                on_update(job)
            if job.state in TERMINAL_STATES:
                return job
            if deadline is not None and time.monotonic() >= deadline:
                raise WaitTimeout(
                    f"{job_id} is still {job.state} after {timeout_s:g} s", hint=f"It goes on: `sterna wait {job_id}`."
                )

    def events(self, job_id: str, *, after: int = 0, follow: bool = False) -> Iterator[Event]:
        """The events of a job after the one with that number; with `follow` until the job is final."""
        while True:
            page = self._connection.get(f"/v1/jobs/{_safe(job_id)}/events", EventList, params={"after": after})
            yield from page.events
            after = page.events[-1].id if page.events else after
            if page.final or not (page.events or follow):
                return
            if not page.events:
                time.sleep(_POLL_S)

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

    def estimate(self, model: Path, data: Path | None, spec: CompressSpec | Mapping[str, object]) -> Estimate:
        """What a job would take; none is made. The files are sent as for a submission."""
        fields = dict(spec) if isinstance(spec, Mapping) else spec.model_dump(mode="json")
        files = {"model": model} | ({"data": data} if data is not None else {})
        uploads = {name: self.upload(path).id for name, path in files.items()}
        return self._connection.post(
            "/v1/jobs/estimate", Estimate, harmless=True, answer_s=SUBMIT_ANSWER_S, json=fields | uploads
        )

    def log(self, job_id: str) -> str:
        """The end of what the newest attempt's runner wrote to its log."""
        return self._connection.text(f"/v1/jobs/{_safe(job_id)}/logs")

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

    def _submit_at_once(self, fields: Mapping[str, object], files: Mapping[str, Path]) -> Job:
        with ExitStack() as stack:
            opened = {
                name: (path.name, stack.enter_context(path.open("rb")), "application/octet-stream")
                for name, path in files.items()
            }
            return self._connection.post(
                "/v1/jobs", Job, once=True, answer_s=SUBMIT_ANSWER_S, data={"spec": json.dumps(fields)}, files=opened
            )

    def _poll(self, job_id: str, deadline: float | None, longest_s: float) -> Job:
        """One long poll, no longer than the deadline; a service that answers at once is not asked again at once."""
        left_s = PATIENCE_S if deadline is None else max(0.0, deadline - time.monotonic())
        began = time.monotonic()
        job = self._connection.get(f"/v1/jobs/{_safe(job_id)}", Job, wait_s=min(left_s, longest_s), patience_s=left_s)
        if job.state not in TERMINAL_STATES:
            time.sleep(max(0.0, min(_POLL_S, left_s) - (time.monotonic() - began)))
        return job


def _safe(part: str) -> str:
    """One segment of a path, whatever its characters."""
    return quote(part, safe="")
