"""Jobs that wait: which are announced to workers, and whose turn it is when one comes to claim.

A message is a hint. The queue may lose and repeat it, and it says only that some job waits; which one is started, the
ledger decides at the claim, in one UPDATE whose WHERE says what must still be true (`storage.work` has the rest of a
job's way).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, func, null, or_, select, true, update

from api_schemas.jobs import Job, Sandbox
from api_schemas.queue import JobMessage
from storage.clock import microseconds, now_us
from storage.database import Database
from storage.quotas import lock_tenant, may_run_more
from storage.records import job_of, tell_state
from storage.schema import JOBS

NEVER_SENT: Final[dict[str, Any]] = {"sent_us": None, "patience": 1}
"""What a job is set to whose message is due at once."""
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


class Claims(Database):
    """The part of the ledger that gives waiting jobs to workers."""

    def claim(
        self,
        message: JobMessage,
        *,
        worker_id: str,
        lease_s: float,
        sandbox: Sandbox = "limits",
        most_running: int | None = None,
    ) -> Lease | None:
        """Takes one job, the one that a message names; of all who try, one succeeds. Workers take `claim_next`.

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
            if most_running is not None:
                tenant = connection.execute(select(JOBS.c.tenant).where(due)).scalar_one_or_none()
                if tenant is None:
                    return None
                lock_tenant(connection, tenant)
            row = _take(connection, and_(due, allowed), worker_id=worker_id, lease_s=lease_s, sandbox=sandbox)
            if row is None:
                connection.execute(update(JOBS).where(due).values(NEVER_SENT))
                return None
        return Lease(job=job_of(row), worker_id=worker_id, attempt=row.attempt)

    def claim_next(
        self,
        heard: JobMessage,
        *,
        worker_id: str,
        lease_s: float,
        sandbox: Sandbox = "limits",
        most_running: int | None = None,
    ) -> Lease | None:
        """Takes the job whose turn it is; a message says that some job waits, not which one is to be run.

        First come jobs of the tenant with the fewest jobs running, among those of the tenant that was served longest
        ago, and of one tenant the oldest: a thousand jobs of one do not keep another's single job waiting.

        A message stands for one start of a job that counts as sent. Where it finds nothing that may run, or starts a
        job that counts as never sent, another counts as never sent from now on: the job that it names or, where that
        was started in place of another or counts so already, the oldest that waits. So there are never fewer messages
        under way than jobs that count as sent, and none is forgotten until its message is old.

        Args:
            heard: the message that brought the worker here.
            worker_id: who takes the job.
            lease_s: for how long, until the lease is renewed.
            sandbox: what will hold its process.
            most_running: so many jobs of one tenant may run; counted while the tenant is locked, so never more do.

        Returns:
            None when no job waits, or only such as may not run now.
        """
        allowed = true() if most_running is None else may_run_more(most_running)
        tried: set[str] = set()
        while True:
            # A transaction for each tenant: one that held the locks of two could be waited for in a circle.
            with self.write() as connection:
                turns = connection.execute(_tenants_in_turn(most_running)).scalars()
                tenant = next((one for one in turns.all() if one not in tried), None)
                if tenant is None:
                    _count_as_unsent(connection, heard)
                    return None
                if most_running is not None:
                    lock_tenant(connection, tenant)
                due = and_(JOBS.c.id == _oldest_free(connection, tenant), JOBS.c.state == "queued", allowed)
                row = _take(connection, due, worker_id=worker_id, lease_s=lease_s, sandbox=sandbox)
                if row is not None:
                    if row.sent_us is None:  # started by the message of another, which has none now
                        _count_as_unsent(connection, heard)
                    return Lease(job=job_of(row), worker_id=worker_id, attempt=row.attempt)
                tried.add(tenant)

    def due(self, *, older_than_s: float, limit: int, most_running: int | None = None) -> tuple[JobMessage, ...]:
        """The outbox: messages of queued jobs that should be sent now, oldest job first. They count as sent.

        A job that was given back, or whose message went unheard, is due at once; any other when its last message is
        older than `older_than_s`, and each time it is due again only after twice as long, up to eight times. Jobs of a
        tenant that has `most_running` jobs at work are not due.
        """
        waited = JOBS.c.sent_us + JOBS.c.patience * microseconds(older_than_s) <= now_us()
        allowed = true() if most_running is None else may_run_more(most_running)
        is_due = and_(JOBS.c.state == "queued", or_(JOBS.c.sent_us.is_(None), waited), allowed)
        oldest = _oldest_of_nobody(is_due, limit)
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

    def unheard(self, messages: Sequence[JobMessage]) -> None:
        """Says that these messages were not sent, or reached nobody who could take them: they are due at once."""
        with self.write() as connection:
            for message in sorted(messages, key=lambda one: one.job_id):  # all in one order, or two wait for each other
                waits = and_(JOBS.c.state == "queued", JOBS.c.attempt == message.attempt)
                connection.execute(update(JOBS).where(JOBS.c.id == message.job_id, waits).values(NEVER_SENT))

    def doubt(self, *, limit: int) -> None:
        """Says that messages may have been lost: the oldest jobs that wait, at most `limit`, are due at once."""
        oldest = _oldest_of_nobody(JOBS.c.state == "queued", limit)
        with self.write() as connection:
            connection.execute(update(JOBS).where(JOBS.c.id.in_(oldest), JOBS.c.state == "queued").values(NEVER_SENT))


def _take(
    connection: Connection, due: ColumnElement[bool], *, worker_id: str, lease_s: float, sandbox: Sandbox
) -> Row[Any] | None:
    """Give a job to a worker if it is due, and tell it; None if it is not."""
    row = connection.execute(
        update(JOBS)
        .where(due)
        .values(
            state="running",
            worker_id=worker_id,
            sandbox=sandbox,
            claimed_us=now_us(),
            lease_until_us=now_us() + microseconds(lease_s),
            started_us=func.coalesce(JOBS.c.started_us, now_us()),
            phase=null(),
            resumed_step=JOBS.c.checkpoint_step,
            step=func.coalesce(JOBS.c.checkpoint_step, 0),
            steps=case((JOBS.c.checkpoint_step.is_(None), null()), else_=JOBS.c.steps),
            progress_us=null(),
            latest="{}",
            last_event=JOBS.c.last_event + 1,
        )
        .returning(*JOBS.c, now_us().label("at_us"))
    ).one_or_none()
    if row is not None:
        tell_state(connection, row)
    return row


def _oldest_free(connection: Connection, tenant: str) -> str | None:
    """A tenant's oldest queued job. In PostgreSQL it is locked, and one that is locked already is passed by."""
    waits = and_(JOBS.c.tenant == tenant, JOBS.c.state == "queued")
    oldest = select(JOBS.c.id).where(waits).order_by(JOBS.c.created_us, JOBS.c.id).limit(1)
    return connection.execute(oldest.with_for_update(skip_locked=True)).scalar_one_or_none()


def _tenants_in_turn(most_running: int | None) -> Select[str]:
    """Tenants with jobs that wait and may run, in the order in which they are to be served."""
    queued, at_work, former = (JOBS.alias(name) for name in ("queued", "at_work", "former"))
    running = (
        select(at_work.c.tenant, func.count().label("jobs"))
        .where(at_work.c.state == "running")
        .group_by(at_work.c.tenant)
        .subquery("running")
    )
    jobs = func.coalesce(running.c.jobs, 0)
    # A tenant's jobs are started in the order in which they came: of those that were, the newest was started last.
    # To know that much, an index is walked from its end; the true maximum would have to look at all that ever ran.
    served_us = (
        select(former.c.claimed_us)
        .where(former.c.tenant == queued.c.tenant, former.c.claimed_us.is_not(None))
        .order_by(former.c.created_us.desc(), former.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    return (
        select(queued.c.tenant)
        .outerjoin(running, running.c.tenant == queued.c.tenant)
        .where(queued.c.state == "queued", *(() if most_running is None else (jobs < most_running,)))
        .group_by(queued.c.tenant, jobs)
        .order_by(jobs, func.coalesce(served_us, 0), func.min(queued.c.created_us))
    )


def _count_as_unsent(connection: Connection, heard: JobMessage) -> None:
    sent = and_(JOBS.c.state == "queued", JOBS.c.sent_us.is_not(None))
    named = connection.execute(update(JOBS).where(JOBS.c.id == heard.job_id, sent).values(NEVER_SENT))
    if named.rowcount == 0:
        oldest = select(JOBS.c.id).where(sent).order_by(JOBS.c.created_us).limit(1)
        connection.execute(update(JOBS).where(JOBS.c.id == oldest.scalar_subquery(), sent).values(NEVER_SENT))


def _oldest_of_nobody(which: ColumnElement[bool], limit: int) -> Select[tuple[str]]:
    """The oldest of the jobs that no other transaction is changing: two that took the same rows would wait in turn."""
    free = select(JOBS.c.id).where(which).order_by(JOBS.c.created_us).limit(limit).with_for_update(skip_locked=True)
    # A table expression is evaluated once; what stands in the WHERE may be, and lock, as often as PostgreSQL likes.
    return select(free.cte("free").c.id)
