"""Jobs that workers have: renew, record, finish; and what happens to a job whose worker falls silent.

The queue may lose and repeat messages, workers may die, freeze and come back. What holds the ledger together is that
each change of state is one UPDATE whose WHERE says what must still be true, with its event in the same transaction:

    queued ──claim──► running ──succeed/fail/cancelled──► succeeded | failed | cancelled
      ▲                  │
      └──release/reap────┘  attempt + 1; reap fails the job once too many attempts were lost

A *lease* is the triple (job, worker, attempt) that a claim gives (`storage.claims`). It is lost when the row no longer
says so, not when its time has passed: a slow worker that nobody replaced may still finish. Whatever takes a job from a
worker, a cancel that was asked for decides: the job becomes `cancelled`, not `queued`, `failed` or `succeeded`. A stop
means "keep the best so far", and what an attempt had reached may be lost with its worker: the stop is dropped with it,
and an event says so.

While a job has not ended it holds on to one checkpoint, the newest, from which its next attempt goes on. With the end
of the job it is let go, so that a job that is tried again begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, and_, case, delete, func, insert, literal, null, select, update

from api_schemas.events import EventBody, Message, PhaseChange, ProgressPoint
from api_schemas.jobs import ArtifactRef, JobErrorInfo, Latest, Result
from sterna.errors import AttemptsExhausted
from storage.claims import NEVER_SENT, Lease
from storage.clock import microseconds, now_us
from storage.database import Database
from storage.records import append_events, checkpoint_of, forget_checkpoint, tell_state
from storage.schema import JOB_BLOBS, JOB_LOGS, JOBS


class Work(Database):
    """The part of the ledger that workers with a lease speak to, and that takes leases back."""

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

    def checkpoint(self, lease: Lease) -> str | None:
        """The sha-256 of the job's checkpoint, None where it has none."""
        with self.read() as connection:
            return connection.execute(
                select(JOB_BLOBS.c.sha256).where(checkpoint_of(lease.job.id))
            ).scalar_one_or_none()

    def keep_checkpoint(self, lease: Lease, sha256: str, *, size_bytes: int, step: int) -> bool:
        """Has the job hold on to this checkpoint in place of any before it.

        Args:
            lease: whose job.
            sha256: of content that was pinned and is in the blob store.
            size_bytes: its length.
            step: before which step of the training it stands.

        Returns:
            False when the lease is lost; nothing was written then.
        """
        row = {"job_id": lease.job.id, "role": "checkpoint", "name": "checkpoint", "sha256": sha256}
        with self.write() as connection:
            own = update(JOBS).where(_own(lease)).values(checkpoint_step=step)
            if connection.execute(own).rowcount == 0:
                return False
            connection.execute(delete(JOB_BLOBS).where(checkpoint_of(lease.job.id)))
            connection.execute(insert(JOB_BLOBS).values(row | {"bytes": size_bytes}))
        return True

    def record(self, lease: Lease, bodies: Sequence[EventBody], *, newest: ProgressPoint | None = None) -> bool:
        """Appends events, oldest first, and keeps the newest phase and figures, and the last metric there was.

        Args:
            lease: whose job.
            bodies: the events.
            newest: figures that are to be shown as the latest and not to be kept as an event.

        Returns:
            False when the lease is lost; nothing was written then.
        """
        changes: dict[str, Any] = {"last_event": JOBS.c.last_event + len(bodies)}
        latest: Latest | None = None
        for body in (*bodies, newest):
            if isinstance(body, PhaseChange):
                changes["phase"] = body.phase
            elif isinstance(body, ProgressPoint):
                known, latest = latest, Latest.model_validate(body.model_dump(include=set(Latest.model_fields)))
                latest = latest if known is None else _measured(latest, known)
                changes |= {"step": body.step, "steps": body.steps, "progress_us": now_us()}
        with self.write() as connection:
            if latest is not None:
                # Only who has the lease writes them: nothing comes between.
                kept = connection.execute(select(JOBS.c.latest).where(_own(lease))).scalar_one_or_none()
                latest = latest if kept is None else _measured(latest, Latest.model_validate_json(kept))
                changes["latest"] = latest.model_dump_json(by_alias=True)
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

    def is_running(self, job_id: str, *, attempt: int) -> bool:
        """Whether a worker is at work on that attempt, as far as the ledger knows."""
        query = select(JOBS.c.id).where(JOBS.c.id == job_id, JOBS.c.state == "running", JOBS.c.attempt == attempt)
        with self.read() as connection:
            return connection.execute(query).one_or_none() is not None

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
                    checkpoint_step=null(),
                    **_NOBODYS,
                )
                .returning(*JOBS.c, now_us().label("at_us"))
            ).one_or_none()
            if row is None:
                return False
            forget_checkpoint(connection, row.id)
            if row.state == "succeeded":
                _hold_artifacts(connection, row.id, artifacts)
            tell_state(connection, row)
        return True


_NOBODYS: dict[str, Any] = {"phase": None, "worker_id": None, "lease_until_us": None, "requested": None}


def _hold_artifacts(connection: Connection, job_id: str, artifacts: Sequence[ArtifactRef]) -> None:
    rows = [
        {"job_id": job_id, "role": "artifact", "name": one.name, "sha256": one.sha256, "bytes": one.bytes}
        for one in artifacts
    ]
    if rows:
        connection.execute(insert(JOB_BLOBS), rows)


def _measured(latest: Latest, known: Latest) -> Latest:
    """The figures with the metric that was known before, where they have none."""
    if latest.metric is not None:
        return latest
    return latest.model_copy(update={"metric": known.metric})


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
        | NEVER_SENT
        | {
            "state": outcome,
            "attempt": JOBS.c.attempt + case((again, 1), else_=0),
            "lost_attempts": JOBS.c.lost_attempts + lost,
            "error": case((outcome == "failed", info.model_dump_json()), else_=null()),
            "finished_us": case((again, null()), else_=now_us()),
            "checkpoint_step": case((again, JOBS.c.checkpoint_step), else_=null()),
            "last_event": JOBS.c.last_event + 1,
        }
    )
    # A lease that ran out between the two statements keeps its stop and is taken back the next time.
    untold = and_(again, func.coalesce(JOBS.c.requested, "") == "stop")
    rows = connection.execute(
        update(JOBS).where(whose, ~untold).values(changes).returning(*JOBS.c, now_us().label("at_us"))
    ).all()
    for row in rows:
        if row.state != "queued":
            forget_checkpoint(connection, row.id)
        tell_state(connection, row)
    return len(rows)


def _drop_stop(connection: Connection, whose: ColumnElement[bool]) -> None:
    """Forget that these jobs were asked to stop: their next attempt may begin anew and stop with nothing learnt."""
    rows = connection.execute(
        update(JOBS)
        .where(whose, JOBS.c.requested == "stop")
        .values(requested=None, last_event=JOBS.c.last_event + 1)
        .returning(JOBS.c.id, JOBS.c.attempt, JOBS.c.last_event, now_us().label("at_us"))
    ).all()
    for row in rows:
        text = (
            f"attempt {row.attempt} was lost before it could stop, and with it what it had learnt since its last "
            "checkpoint: the next one does not stop; ask again, or cancel the job"
        )
        message = Message(code="STOP_DROPPED", text=text)
        append_events(connection, row.id, [message], last_event=row.last_event, at_us=row.at_us)
