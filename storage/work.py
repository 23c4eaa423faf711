"""Jobs as workers see them: claim, renew, record, finish; and what happens to a job whose worker falls silent.

The queue may lose and repeat messages, workers may die, freeze and come back. What holds the ledger together is that
each change of state is one UPDATE whose WHERE says what must still be true, with its event in the same transaction:

    queued ──claim──► running ──succeed/fail/cancelled──► succeeded | failed | cancelled
      ▲                  │
      └──release/reap────┘  attempt + 1; reap fails the job once too many attempts were lost

A *lease* is the triple (job, worker, attempt). It is lost when the row no longer says so, not when its time has passed:
a slow worker that nobody replaced may still finish. Whatever takes a job from a worker, a cancel that was asked for
decides: the job becomes `cancelled`, not `queued`, `failed` or `succeeded`. A stop means "keep the best so far", and
what an attempt had reached is lost with its worker: the stop is dropped with it, and an event says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    case,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    true,
    update,
)

from api_schemas.events import EventBody, Message, PhaseChange, ProgressPoint, StateChange
from api_schemas.jobs import ArtifactRef, Job, JobErrorInfo, Latest, Result, Sandbox
from api_schemas.queue import JobMessage
from sterna.errors import AttemptsExhausted
from storage.clock import microseconds, now_us
from storage.database import Database
from storage.quotas import may_run_more
from storage.records import append_events, job_of
from storage.schema import JOB_BLOBS, JOB_LOGS, JOBS

# A job that waits long is announced ever more rarely, or copies of its message would pile up in the broker.
_MOST_PATIENCE = 8


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one worker to work on one attempt of a job.

    Attributes:
        job: as it stood when it was claimed.
    """

    job: Job
    worker_id: str
    attempt: int


class Work(Database):
    """The part of the ledger that workers speak to."""

    def claim(
        self,
        message: JobMessage,
        *,
        worker_id: str,
        lease_s: float,
        sandbox: Sandbox = "limits",
        most_running: int | None = None,
    ) -> Lease | None:
        """Takes the job of a message; of all who try, one succeeds. The record keeps what will hold its process.

        Args:
            message: which attempt of which job.
            worker_id: who takes it.
            lease_s: for how long, until the lease is renewed.
            sandbox: what will hold its process.
            most_running: so many jobs of one tenant may run.

        Returns:
            None when that attempt is not due: taken, finished, the message is an old copy, or too many of the tenant's
            jobs run; then it is announced again as soon as one has ended.
        """
        due = and_(JOBS.c.id == message.job_id, JOBS.c.state == "queued", JOBS.c.attempt == message.attempt)
        allowed = true() if most_running is None else may_run_more(most_running)
        with self.write() as connection:
            row = connection.execute(
                update(JOBS)
                .where(due, allowed)
                .values(
                    state="running",
                    worker_id=worker_id,
                    sandbox=sandbox,
                    claimed_us=now_us(),
                    lease_until_us=now_us() + microseconds(lease_s),
                    started_us=func.coalesce(JOBS.c.started_us, now_us()),
                    phase=null(),
                    step=0,
                    steps=null(),
                    progress_us=null(),
                    latest="{}",
                    last_event=JOBS.c.last_event + 1,
                )
                .returning(*JOBS.c, now_us().label("at_us"))
            ).one_or_none()
            if row is None:
                connection.execute(update(JOBS).where(due).values(_NEVER_SENT))
                return None
            _tell_state(connection, row)
        return Lease(job=job_of(row), worker_id=worker_id, attempt=message.attempt)

    def renew(self, lease: Lease, *, lease_s: float) -> Literal["continue", "stop", "cancel"] | None:
        """Says that the worker lives, and asks what it is to do; None when the lease is lost."""
        with self.write() as connection:
            row = connection.execute(
                update(JOBS)
                .where(_own(lease))
                .values(lease_until_us=now_us() + microseconds(lease_s))
                .returning(JOBS.c.requested)
            ).one_or_none()
        if row is None:
            return None
        if row.requested in {"stop", "cancel"}:
            return "stop" if row.requested == "stop" else "cancel"
        return "continue"

    def inputs(self, lease: Lease) -> dict[str, str]:
        """The sha-256 of what the job works on: `model`, and `data` where it has some."""
        held = and_(JOB_BLOBS.c.job_id == lease.job.id, JOB_BLOBS.c.role.in_(("model", "data")))
        with self.read() as connection:
            rows = connection.execute(select(JOB_BLOBS.c.role, JOB_BLOBS.c.sha256).where(held)).all()
        return {row.role: row.sha256 for row in rows}

    def record(self, lease: Lease, bodies: Sequence[EventBody], *, newest: ProgressPoint | None = None) -> bool:
        """Appends events, oldest first, and keeps the newest phase and figures.

        Args:
            lease: whose job.
            bodies: the events.
            newest: figures that are to be shown as the latest and not to be kept as an event.

        Returns:
            False when the lease is lost; nothing was written then.
        """
        changes: dict[str, Any] = {"last_event": JOBS.c.last_event + len(bodies)}
        for body in (*bodies, newest):
            if isinstance(body, PhaseChange):
                changes["phase"] = body.phase
            elif isinstance(body, ProgressPoint):
                latest = Latest.model_validate(body.model_dump(include=set(Latest.model_fields)))
                changes |= {"step": body.step, "steps": body.steps, "progress_us": now_us()}
                changes["latest"] = latest.model_dump_json(by_alias=True)
        with self.write() as connection:
            row = connection.execute(
                update(JOBS).where(_own(lease)).values(changes).returning(JOBS.c.last_event, now_us().label("at_us"))
            ).one_or_none()
            if row is None:
                return False
            append_events(connection, lease.job.id, bodies, last_event=row.last_event, at_us=row.at_us)
        return True

    def keep_log(self, lease: Lease, text: str) -> bool:
        """Keeps the end of the runner's log in place of what was kept of it before; False when the lease is lost."""
        own = and_(JOB_LOGS.c.job_id == lease.job.id, JOB_LOGS.c.attempt == lease.attempt)
        kept = text.replace("\x00", "\ufffd")  # PostgreSQL keeps no such character
        with self.write() as connection:
            if connection.execute(select(JOBS.c.id).where(_own(lease))).one_or_none() is None:
                return False
            if connection.execute(update(JOB_LOGS).where(own).values(text=kept)).rowcount == 0:
                row = {"job_id": lease.job.id, "attempt": lease.attempt, "text": kept}
                connection.execute(insert(JOB_LOGS).values(row))
        return True

    def succeed(self, lease: Lease, result: Result) -> bool:
        """Ends the job with what came out; its artifacts must already be in the blob store.

        Raises:
            ValueError: a figure that must be a number is NaN or infinite, so nobody could read the result back.
        """
        text = result.model_dump_json()
        Result.model_validate_json(text)
        return self._finish(lease, "succeeded", result=text, artifacts=result.artifacts)

    def fail(self, lease: Lease, error: JobErrorInfo) -> bool:
        """Ends the job with the reason why nothing came out."""
        return self._finish(lease, "failed", error=error.model_dump_json())

    def cancelled(self, lease: Lease) -> bool:
        """Ends the job as thrown away."""
        return self._finish(lease, "cancelled")

    def release(self, lease: Lease) -> bool:
        """Gives the job back because the worker is stopping: it is due again at once, and no attempt was lost."""
        with self.write() as connection:
            return _take_back(connection, _own(lease), lost=0, max_attempts=1) == 1

    def reap(self, *, max_attempts: int) -> int:
        """Takes jobs back from workers that have not renewed their lease in time.

        Args:
            max_attempts: attempts that may be lost in all; with the last one the job fails.

        Returns:
            How many jobs were taken back.
        """
        expired = and_(JOBS.c.state == "running", JOBS.c.lease_until_us < now_us())
        with self.write() as connection:
            return _take_back(connection, expired, lost=1, max_attempts=max_attempts)

    def due(self, *, older_than_s: float, limit: int, most_running: int | None = None) -> tuple[JobMessage, ...]:
        """The outbox: messages of queued jobs that should be sent now, oldest job first. They count as sent.

        A job that was given back, or whose message went unheard, is due at once; any other when its last message is
        older than `older_than_s`, and each time it is due again only after twice as long, up to eight times. Jobs of a
        tenant that has `most_running` jobs at work are not due.
        """
        waited = JOBS.c.sent_us + JOBS.c.patience * microseconds(older_than_s) <= now_us()
        allowed = true() if most_running is None else may_run_more(most_running)
        is_due = and_(JOBS.c.state == "queued", or_(JOBS.c.sent_us.is_(None), waited), allowed)
        oldest = select(JOBS.c.id).where(is_due).order_by(JOBS.c.created_us).limit(limit)
        doubled = case(
            (JOBS.c.sent_us.is_(None), 1),
            (JOBS.c.patience * 2 > _MOST_PATIENCE, _MOST_PATIENCE),
            else_=JOBS.c.patience * 2,
        )
        with self.write() as connection:
            rows = connection.execute(
                update(JOBS)
                .where(JOBS.c.id.in_(oldest), is_due)
                .values(sent_us=now_us(), patience=doubled)
                .returning(JOBS.c.id, JOBS.c.attempt, JOBS.c.created_us)
            ).all()
        oldest_first = sorted(rows, key=lambda row: row.created_us)
        return tuple(JobMessage(job_id=row.id, attempt=row.attempt) for row in oldest_first)

    def is_running(self, job_id: str, *, attempt: int) -> bool:
        """Whether a worker is at work on that attempt, as far as the ledger knows."""
        query = select(JOBS.c.id).where(JOBS.c.id == job_id, JOBS.c.state == "running", JOBS.c.attempt == attempt)
        with self.read() as connection:
            return connection.execute(query).one_or_none() is not None

    def unheard(self, messages: Sequence[JobMessage]) -> None:
        """Says that these messages were not sent, or reached nobody who could take them: they are due at once."""
        with self.write() as connection:
            for message in messages:
                waits = and_(JOBS.c.state == "queued", JOBS.c.attempt == message.attempt)
                connection.execute(update(JOBS).where(JOBS.c.id == message.job_id, waits).values(_NEVER_SENT))

    def doubt(self, *, limit: int) -> None:
        """Says that messages may have been lost: the oldest jobs that wait, at most `limit`, are due at once."""
        oldest = select(JOBS.c.id).where(JOBS.c.state == "queued").order_by(JOBS.c.created_us).limit(limit)
        with self.write() as connection:
            connection.execute(update(JOBS).where(JOBS.c.id.in_(oldest), JOBS.c.state == "queued").values(_NEVER_SENT))

    def _finish(
        self,
        lease: Lease,
        state: str,
        *,
        result: str | None = None,
        error: str | None = None,
        artifacts: Sequence[ArtifactRef] = (),
    ) -> bool:
        cancel = JOBS.c.requested == "cancel"
        with self.write() as connection:
            row = connection.execute(
                update(JOBS)
                .where(_own(lease))
                .values(
                    state=case((cancel, "cancelled"), else_=state),
                    result=case((cancel, null()), else_=result),
                    error=case((cancel, null()), else_=error),
                    finished_us=now_us(),
                    last_event=JOBS.c.last_event + 1,
                    **_NOBODYS,
                )
                .returning(*JOBS.c, now_us().label("at_us"))
            ).one_or_none()
            if row is None:
                return False
            if row.state == "succeeded":
                _hold_artifacts(connection, row.id, artifacts)
            _tell_state(connection, row)
        return True


_NEVER_SENT: dict[str, Any] = {"sent_us": None, "patience": 1}
_NOBODYS: dict[str, Any] = {"phase": None, "worker_id": None, "lease_until_us": None, "requested": None}


def _hold_artifacts(connection: Connection, job_id: str, artifacts: Sequence[ArtifactRef]) -> None:
    rows = [
        {"job_id": job_id, "role": "artifact", "name": one.name, "sha256": one.sha256, "bytes": one.bytes}
        for one in artifacts
    ]
    if rows:
        connection.execute(insert(JOB_BLOBS), rows)


def _own(lease: Lease) -> ColumnElement[bool]:
    return and_(
        JOBS.c.id == lease.job.id,
        JOBS.c.state == "running",
        JOBS.c.worker_id == lease.worker_id,
        JOBS.c.attempt == lease.attempt,
    )


def _take_back(connection: Connection, whose: ColumnElement[bool], *, lost: int, max_attempts: int) -> int:
    exhausted = literal(lost == 1) & (JOBS.c.lost_attempts + 1 >= max_attempts)
    outcome = case((JOBS.c.requested == "cancel", "cancelled"), (exhausted, "failed"), else_="queued")
    again = outcome == "queued"
    _drop_stop(connection, and_(whose, again))
    error = AttemptsExhausted(
        f"the job lost its worker in {max_attempts} attempts, which is as many as are allowed",
        hint="the workers' logs say why they ended; submit the job again once that is mended",
    )
    info = JobErrorInfo(code=error.code, message=error.detail, hint=error.hint)
    changes = (
        _NOBODYS
        | _NEVER_SENT
        | {
            "state": outcome,
            "attempt": JOBS.c.attempt + case((again, 1), else_=0),
            "lost_attempts": JOBS.c.lost_attempts + lost,
            "error": case((outcome == "failed", info.model_dump_json()), else_=null()),
            "finished_us": case((again, null()), else_=now_us()),
            "last_event": JOBS.c.last_event + 1,
        }
    )
    # A lease that ran out between the two statements keeps its stop and is taken back the next time.
    untold = and_(again, func.coalesce(JOBS.c.requested, "") == "stop")
    rows = connection.execute(
        update(JOBS).where(whose, ~untold).values(changes).returning(*JOBS.c, now_us().label("at_us"))
    ).all()
    for row in rows:
        _tell_state(connection, row)
    return len(rows)


def _drop_stop(connection: Connection, whose: ColumnElement[bool]) -> None:
    """Forget that these jobs were asked to stop: their next attempt begins anew and would stop with nothing learnt."""
    rows = connection.execute(
        update(JOBS)
        .where(whose, JOBS.c.requested == "stop")
        .values(requested=None, last_event=JOBS.c.last_event + 1)
        .returning(JOBS.c.id, JOBS.c.attempt, JOBS.c.last_event, now_us().label("at_us"))
    ).all()
    for row in rows:
        text = (
            f"attempt {row.attempt} was lost before it could stop, and what it had learnt with it: "
            "the next one begins anew and does not stop; ask again, or cancel the job"
        )
        message = Message(code="STOP_DROPPED", text=text)
        append_events(connection, row.id, [message], last_event=row.last_event, at_us=row.at_us)


def _tell_state(connection: Connection, row: Row[Any]) -> None:
    error = None if row.error is None else JobErrorInfo.model_validate_json(row.error)
    change = StateChange(state=row.state, attempt=row.attempt, error=error)
    append_events(connection, row.id, [change], last_event=row.last_event, at_us=row.at_us)
