"""Figures of the whole installation, for whoever watches over it: no tenant's things, only how many."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter
from sqlalchemy import and_, func, select

from api_schemas.jobs import JobErrorInfo
from storage.clock import microseconds, now_us
from storage.database import Database
from storage.schema import DELIVERIES, JOBS, WORKERS

_HOUR_S: Final = 3600.0
_FAILURES: Final = 1000
_ERROR: Final = TypeAdapter(JobErrorInfo)


@dataclass(frozen=True, slots=True)
class Figures:
    """How things stand.

    Attributes:
        jobs: by state.
        ended: jobs that ended within the last hour, by state.
        failures: of those that failed then, by the code of their error; of a thousand, where there are more.
        oldest_queued_s: how long the job that waits longest has waited; 0 where none waits.
        since_claim_s: how long ago a worker last took a job; None: never.
        workers: that are alive.
        slots: how many jobs they take at once.
        undelivered: news that are on their way to webhooks.
    """

    jobs: dict[str, int]
    ended: dict[str, int]
    failures: dict[str, int]
    oldest_queued_s: float
    since_claim_s: float | None
    workers: int
    slots: int
    undelivered: int


class Counts(Database):
    """The part of the ledger that counts."""

    def figures(self, *, alive_within_s: float) -> Figures:
        """How things stand now."""
        queued = func.min(JOBS.c.created_us).filter(JOBS.c.state == "queued")
        recent = WORKERS.c.seen_us >= now_us() - microseconds(alive_within_s)
        alive = select(func.count(), func.coalesce(func.sum(WORKERS.c.capacity), 0)).where(recent)
        lately = JOBS.c.finished_us >= now_us() - microseconds(_HOUR_S)
        ended = select(JOBS.c.state, func.count().label("jobs")).where(lately).group_by(JOBS.c.state)
        failed = select(JOBS.c.error).where(and_(lately, JOBS.c.state == "failed")).limit(_FAILURES)
        pending = select(func.count()).where(DELIVERIES.c.state == "pending")
        with self.read() as connection:
            states = connection.execute(select(JOBS.c.state, func.count().label("jobs")).group_by(JOBS.c.state)).all()
            times = connection.execute(
                select(now_us() - queued, now_us() - func.max(JOBS.c.claimed_us)).select_from(JOBS)
            ).one()
            workers, slots = connection.execute(alive).one()
            undelivered = connection.execute(pending).scalar_one()
            ended_lately = connection.execute(ended).all()
            errors = connection.execute(failed).scalars().all()
        return Figures(
            jobs={row.state: row.jobs for row in states},
            ended={row.state: row.jobs for row in ended_lately},
            failures=Counter(_ERROR.validate_json(error).code for error in errors if error is not None),
            oldest_queued_s=max(0, times[0] or 0) / 1e6,
            since_claim_s=None if times[1] is None else max(0, times[1]) / 1e6,
            workers=workers,
            slots=slots,
            undelivered=undelivered,
        )
