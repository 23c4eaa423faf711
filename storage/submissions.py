"""Jobs come and go: submitted, tried again after a failure, deleted with all that was theirs."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, delete, exists, insert, null, select, update

from api_schemas.events import StateChange
from api_schemas.jobs import TERMINAL_STATES, Job, JobSpec
from sterna.errors import Conflict, NotFound
from storage.clock import microseconds, now_us
from storage.database import Database
from storage.once import Turn, fulfil
from storage.quotas import check_queued
from storage.records import append_events, find_job, owned_job
from storage.schema import JOB_BLOBS, JOB_LABELS, JOBS, LOCAL, SWEEPS, UPLOADS

_CAN_BE_TRIED_AGAIN = ("failed", "cancelled")


class Submissions(Database):
    """The part of the ledger that makes jobs and removes them."""

    def submit(
        self, spec: JobSpec, *, tenant: str = LOCAL, turn: Turn | None = None, most_queued: int | None = None
    ) -> Job:
        """Writes down a new job: queued, first attempt.

        Its message counts as sent, so that the outbox speaks up only when whoever submits fails to send it.

        Args:
            spec: what is asked for; its uploads must be complete and the tenant's own.
            tenant: whose job it is.
            turn: of a request with an idempotency key; the job becomes its answer.
            most_queued: so many jobs of the tenant may wait.

        Raises:
            NotFound: an upload is not there, not complete or another tenant's.
            QuotaExceeded: too many wait.
            RequestInProgress: the turn was lost to another try.
        """
        with self.write() as connection:
            if most_queued is not None:
                check_queued(connection, tenant, more=1, most=most_queued)
            job = insert_job(connection, spec, tenant=tenant)
            if turn is not None:
                answer = job.model_dump_json(by_alias=True)
                fulfil(connection, turn, location=f"/v1/jobs/{job.id}", body=answer)
            return job

    def retry(
        self, job_id: str, *, tenant: str = LOCAL, turn: Turn | None = None, most_queued: int | None = None
    ) -> Job:
        """Queues a job that failed or was cancelled once more, as its next attempt.

        Raises:
            NotFound: there is no such job.
            Conflict: it waits, runs or has succeeded.
            QuotaExceeded: too many wait.
            RequestInProgress: the turn was lost to another try.
        """
        again = and_(owned_job(job_id, tenant), JOBS.c.state.in_(_CAN_BE_TRIED_AGAIN))
        with self.write() as connection:
            if most_queued is not None:
                check_queued(connection, tenant, more=1, most=most_queued)
            row = connection.execute(
                update(JOBS)
                .where(again)
                .values(
                    state="queued",
                    attempt=JOBS.c.attempt + 1,
                    lost_attempts=0,
                    error=null(),
                    finished_us=null(),
                    sent_us=now_us(),
                    patience=1,
                    last_event=JOBS.c.last_event + 1,
                )
                .returning(JOBS.c.attempt, JOBS.c.last_event, now_us().label("at_us"))
            ).one_or_none()
            if row is None:
                state = find_job(connection, job_id, tenant).state
                raise Conflict(
                    f"job {job_id} is {state}; only a job that failed or was cancelled can be tried again",
                    hint="submit a new job to compress the model once more",
                )
            queued = StateChange(state="queued", attempt=row.attempt)
            append_events(connection, job_id, [queued], last_event=row.last_event, at_us=row.at_us)
            job = find_job(connection, job_id, tenant)
            if turn is not None:
                fulfil(connection, turn, location=f"/v1/jobs/{job_id}", body=job.model_dump_json(by_alias=True))
            return job

    def delete_job(self, job_id: str, *, tenant: str = LOCAL) -> tuple[str, ...]:
        """Removes a job that has ended: its row, events, logs and labels, and its uploads that no other job uses.

        A sweep goes with the last of its jobs.

        Returns:
            The content that the job held on to. What nothing else refers to can be collected.

        Raises:
            NotFound: there is no such job.
            Conflict: it has not ended.
        """
        with self.write() as connection:
            content = _delete(connection, job_id, tenant)
            if content is None:
                state = find_job(connection, job_id, tenant).state
                raise Conflict(f"job {job_id} is {state}; only a job that has ended can be deleted", hint="cancel it")
            return content

    def delete_expired(self, *, older_than_s: float, limit: int = 100) -> int:
        """Removes jobs that ended longer ago than that, as `delete_job` does; returns how many."""
        old = and_(JOBS.c.state.in_(TERMINAL_STATES), JOBS.c.finished_us < now_us() - microseconds(older_than_s))
        with self.read() as connection:
            query = select(JOBS.c.id, JOBS.c.tenant).where(old).order_by(JOBS.c.finished_us).limit(limit)
            rows = connection.execute(query).all()
        removed = 0
        for row in rows:
            with self.write() as connection:
                removed += _delete(connection, row.id, row.tenant) is not None
        return removed


def insert_job(connection: Connection, spec: JobSpec, *, tenant: str, **more: Any) -> Job:  # noqa: ANN401  columns
    """Writes a queued job with its inputs, labels and first event.

    Raises:
        NotFound: an upload is not there, not complete or another tenant's.
    """
    job_id = f"job_{uuid.uuid4().hex}"
    at_us = connection.execute(select(now_us())).scalar_one()
    row = {"id": job_id, "tenant": tenant, "state": "queued", "spec": spec.model_dump_json(), "last_event": 1}
    connection.execute(insert(JOBS).values(row | {"created_us": at_us, "sent_us": at_us} | more))
    inputs = {"model": spec.model} | ({} if spec.data is None else {"data": spec.data})
    rows = [_input_row(connection, upload_id, tenant) | {"role": role} for role, upload_id in inputs.items()]
    connection.execute(insert(JOB_BLOBS), [row | {"job_id": job_id, "name": row["role"]} for row in rows])
    labels = [{"job_id": job_id, "key": key, "value": value} for key, value in spec.labels.items()]
    if labels:
        connection.execute(insert(JOB_LABELS), labels)
    append_events(connection, job_id, [StateChange(state="queued", attempt=1)], last_event=1, at_us=at_us)
    return find_job(connection, job_id, tenant)


def delete_uploads(connection: Connection, upload_ids: Sequence[str]) -> None:
    """Removes those of these uploads that no job uses."""
    used = exists().where(JOB_BLOBS.c.upload_id == UPLOADS.c.id)
    connection.execute(delete(UPLOADS).where(UPLOADS.c.id.in_(upload_ids), ~used))


def _input_row(connection: Connection, upload_id: str, tenant: str) -> dict[str, Any]:
    complete = and_(UPLOADS.c.id == upload_id, UPLOADS.c.tenant == tenant, UPLOADS.c.complete)
    row = connection.execute(select(UPLOADS.c.sha256, UPLOADS.c.bytes).where(complete)).one_or_none()
    if row is None:
        raise NotFound(
            f"there is no complete upload {upload_id[:80]!r}", hint="it may have been removed meanwhile: send it again"
        )
    return {"sha256": row.sha256, "bytes": row.bytes, "upload_id": upload_id}


def _delete(connection: Connection, job_id: str, tenant: str) -> tuple[str, ...] | None:
    held = connection.execute(
        select(JOB_BLOBS.c.sha256, JOB_BLOBS.c.upload_id).where(JOB_BLOBS.c.job_id == job_id)
    ).all()
    ended = and_(owned_job(job_id, tenant), JOBS.c.state.in_(TERMINAL_STATES))
    sweep_id = connection.execute(select(JOBS.c.sweep_id).where(ended)).scalar_one_or_none()
    # Locked, or the last two of its jobs, removed at once, would each take the other for one that stays; and before the
    # job is, as by whoever removes the whole sweep, or the two would wait for each other.
    connection.execute(select(SWEEPS.c.id).where(SWEEPS.c.id == sweep_id).with_for_update())
    if connection.execute(delete(JOBS).where(ended)).rowcount != 1:
        return None
    empty = ~exists().where(JOBS.c.sweep_id == SWEEPS.c.id)
    connection.execute(delete(SWEEPS).where(SWEEPS.c.id == sweep_id, empty))
    delete_uploads(connection, [row.upload_id for row in held if row.upload_id is not None])
    return tuple(dict.fromkeys(row.sha256 for row in held))
