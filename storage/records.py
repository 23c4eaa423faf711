"""From rows to the wire contract and back: how a job and its events are found, read and written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Connection, Row, and_, delete, insert, select

from api_schemas.events import Event, EventBody, StateChange
from api_schemas.jobs import Job, JobErrorInfo, JobSpec, Latest, Progress, Result
from sterna.errors import NotFound
from storage.clock import as_datetime
from storage.outbox import enqueue_news
from storage.schema import EVENTS, JOB_BLOBS, JOBS

_JOB_ID = re.compile(r"job_[0-9a-f]{32}")
_EVENT_BODY: TypeAdapter[EventBody] = TypeAdapter(EventBody)


def find_job(connection: Connection, job_id: str, tenant: str) -> Job:
    """A tenant's job.

    Raises:
        NotFound: there is none, or it is another tenant's, which is the same to whoever asks.
    """
    row = connection.execute(select(JOBS).where(owned_job(job_id, tenant))).one_or_none()
    if row is None:
        raise no_such_job(job_id)
    return job_of(row)


def owned_job(job_id: str, tenant: str) -> ColumnElement[bool]:
    """The condition on a row of `JOBS`; a string that cannot be an id never reaches the database.

    Raises:
        NotFound: it cannot be one.
    """
    if not can_be_job_id(job_id):
        raise no_such_job(job_id)
    return and_(JOBS.c.id == job_id, JOBS.c.tenant == tenant)


def can_be_job_id(text: str) -> bool:
    """Whether a string has the form of our ids."""
    return _JOB_ID.fullmatch(text) is not None


def no_such_job(job_id: str) -> NotFound:
    """What to raise for an id that names no job of the tenant."""
    return NotFound(f"there is no job {job_id[:80]!r}", hint="list the jobs to see which there are")


def job_of(row: Row[Any]) -> Job:
    """The job of a whole row of `JOBS`."""
    spec = JobSpec.model_validate_json(row.spec)
    return Job(
        id=row.id,
        state=row.state,
        phase=row.phase,
        attempt=row.attempt,
        sandbox=row.sandbox,
        created_at=as_datetime(row.created_us),
        started_at=_time(row.started_us),
        finished_at=_time(row.finished_us),
        spec=spec,
        labels=spec.labels,
        sweep_id=row.sweep_id,
        progress=_progress(row),
        latest=Latest.model_validate_json(row.latest),
        result=None if row.result is None else Result.model_validate_json(row.result),
        error=None if row.error is None else JobErrorInfo.model_validate_json(row.error),
    )


def event_of(row: Row[Any]) -> Event:
    """The event of a row of `EVENTS`."""
    return Event(id=row.id, at=as_datetime(row.at_us), body=_EVENT_BODY.validate_json(row.body))


def append_events(
    connection: Connection, job_id: str, bodies: Sequence[EventBody], *, last_event: int, at_us: int
) -> None:
    """Writes the events that an update of the job has just made room for, and what webhooks are to be told of them.

    Args:
        connection: the transaction of that update.
        job_id: whose events.
        bodies: oldest first.
        last_event: the number of the last of them, as the update returned it. Since the update holds the row, numbers
            have no gaps and no two writers get the same one.
        at_us: when, as the update returned it.
    """
    first = last_event - len(bodies) + 1
    rows = [
        {"job_id": job_id, "id": first + i, "at_us": at_us, "body": body.model_dump_json(by_alias=True)}
        for i, body in enumerate(bodies)
    ]
    if rows:
        connection.execute(insert(EVENTS), rows)
    for body in bodies:
        if isinstance(body, StateChange):
            enqueue_news(connection, job_id, body, at_us=at_us)


def tell_state(connection: Connection, row: Row[Any]) -> None:
    """Writes the change of state that an update of a job, which returned its row and `at_us`, has just made."""
    error = None if row.error is None else JobErrorInfo.model_validate_json(row.error)
    change = StateChange(state=row.state, attempt=row.attempt, error=error)
    append_events(connection, row.id, [change], last_event=row.last_event, at_us=row.at_us)


def checkpoint_of(job_id: str) -> ColumnElement[bool]:
    """The condition on a row of `JOB_BLOBS` that it is the checkpoint of a job."""
    return and_(JOB_BLOBS.c.job_id == job_id, JOB_BLOBS.c.role == "checkpoint")


def forget_checkpoint(connection: Connection, job_id: str) -> None:
    """Lets go of the checkpoint of a job that ends, in the transaction that ends it."""
    connection.execute(delete(JOB_BLOBS).where(checkpoint_of(job_id)))


def _progress(row: Row[Any]) -> Progress:
    if row.state == "succeeded":
        return Progress(fraction=1.0, step=row.step, steps=row.steps, eta_s=0.0)
    if not row.steps:
        return Progress(step=row.step, steps=row.steps)
    fraction = min(max(row.step / row.steps, 0.0), 1.0)
    eta_s = None
    # Of this attempt, which may have gone on from a checkpoint.
    done = fraction - (row.resumed_step or 0) / row.steps
    if done > 0 and row.state == "running" and row.progress_us is not None:
        elapsed_s = (row.progress_us - row.claimed_us) / 1e6
        eta_s = round(elapsed_s * (1 - fraction) / done, 3)
    return Progress(fraction=fraction, step=row.step, steps=row.steps, eta_s=eta_s)


def _time(at_us: int | None) -> datetime | None:
    return None if at_us is None else as_datetime(at_us)
