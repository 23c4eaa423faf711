"""Jobs as those who sent them see them: look, list, read events and logs, ask for an end."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    case,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    update,
)

from api_schemas.events import EventList, StateChange
from api_schemas.jobs import TERMINAL_STATES, Job, JobList
from sterna.errors import Conflict, InvalidSpec, NotFound
from storage.clock import now_us
from storage.database import Database
from storage.records import (
    append_events,
    can_be_job_id,
    event_of,
    find_job,
    forget_checkpoint,
    job_of,
    no_such_job,
    owned_job,
)
from storage.schema import EVENTS, JOB_LABELS, JOB_LOGS, JOBS, LOCAL

_PAGE_MARK = re.compile(r"([0-9]{1,18})\.(job_[0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs are wanted.

    Attributes:
        states: in any of these; empty: in whatever state.
        labels: that carry all of these.
    """

    states: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()


EVERY_JOB: Final = JobFilter()


@dataclass(frozen=True, slots=True)
class JobVersion:
    """Two rows of one job with equal versions say the same to whoever asks how it stands.

    Every change of a job writes an event, but for the newest figures, which have their own time.
    """

    tenant: str
    last_event: int
    progress_us: int | None


class Jobs(Database):
    """The part of the ledger that those who sent a job ask."""

    def job(self, job_id: str, *, tenant: str = LOCAL) -> Job:
        """How a job stands.

        Raises:
            NotFound: the tenant has no such job.
        """
        with self.read() as connection:
            return find_job(connection, job_id, tenant)

    def job_versions(self, job_ids: Sequence[str]) -> dict[str, JobVersion]:
        """The versions of jobs, whosever they are; those that do not exist are left out."""
        query: Select[Any] = select(JOBS.c.id, *_VERSION).where(JOBS.c.id.in_(_possible(job_ids)))
        with self.read() as connection:
            rows = connection.execute(query).all()
        return {row.id: _version_of(row) for row in rows}

    def jobs_with_versions(self, job_ids: Sequence[str]) -> list[tuple[JobVersion, Job]]:
        """Jobs, whosever they are, each with the version of the row that it was read from."""
        if not job_ids:
            return []
        with self.read() as connection:
            rows = connection.execute(select(JOBS).where(JOBS.c.id.in_(_possible(job_ids)))).all()
        return [(_version_of(row), job_of(row)) for row in rows]

    def log(self, job_id: str, *, attempt: int | None = None, tenant: str = LOCAL) -> tuple[int, str]:
        """The end of what the runner of an attempt wrote to its log; of the newest that has one, where none is named.

        Returns:
            The attempt and the text.

        Raises:
            NotFound: the tenant has no such job, or no log of it is there.
        """
        query = select(JOB_LOGS).where(JOB_LOGS.c.job_id == job_id).order_by(JOB_LOGS.c.attempt.desc()).limit(1)
        if attempt is not None:
            query = query.where(JOB_LOGS.c.attempt == attempt)
        with self.read() as connection:
            find_job(connection, job_id, tenant)
            row = connection.execute(query).one_or_none()
        if row is None:
            which = "" if attempt is None else f" of attempt {attempt}"
            raise NotFound(f"job {job_id} has no log{which}", hint="there is one once a runner has begun to work on it")
        return row.attempt, row.text

    def jobs(
        self, wanted: JobFilter = EVERY_JOB, *, page_size: int = 50, page_token: str = "", tenant: str = LOCAL
    ) -> JobList:
        """A page of a tenant's jobs, newest first.

        Args:
            wanted: which of them.
            page_size: at most so many.
            page_token: `next_page_token` of the page before; jobs submitted since then do not shift the pages.
            tenant: whose.

        Raises:
            InvalidSpec: the token is none of ours.
        """
        query = select(JOBS).where(JOBS.c.tenant == tenant, *_conditions(wanted))
        query = query.order_by(JOBS.c.created_us.desc(), JOBS.c.id.desc()).limit(page_size + 1)
        if page_token:
            created_us, job_id = _read_token(page_token)
            same_time = and_(JOBS.c.created_us == created_us, JOBS.c.id < job_id)
            query = query.where(or_(JOBS.c.created_us < created_us, same_time))
        with self.read() as connection:
            rows = connection.execute(query).all()
        page = rows[:page_size]
        more = len(rows) > page_size
        next_page_token = _token(page[-1].created_us, page[-1].id) if more else ""
        return JobList(jobs=tuple(job_of(row) for row in page), next_page_token=next_page_token)

    def events(self, job_id: str, *, after: int = 0, limit: int = 1000, tenant: str = LOCAL) -> EventList:
        """What happened to a job after the event numbered `after`, oldest first.

        Raises:
            NotFound: the tenant has no such job.
        """
        with self.read() as connection:
            job = connection.execute(
                select(JOBS.c.state, JOBS.c.last_event).where(owned_job(job_id, tenant))
            ).one_or_none()
            if job is None:
                raise no_such_job(job_id)
            query = select(EVENTS).where(EVENTS.c.job_id == job_id, EVENTS.c.id > after).order_by(EVENTS.c.id)
            events = tuple(event_of(row) for row in connection.execute(query.limit(limit)))
        newest = events[-1].id if events else after
        return EventList(events=events, final=job.state in TERMINAL_STATES and newest >= job.last_event)

    def request(self, job_id: str, order: Literal["cancel", "stop"], *, tenant: str = LOCAL) -> Job:
        """Asks for a job to be thrown away, or to finish now with the best so far.

        A queued job is cancelled at once. A running one is told through its worker, so it goes on running for a
        moment; asking again changes nothing, and a cancel outweighs a stop.

        Raises:
            NotFound: there is no such job.
            Conflict: it has ended, or it has not started and has nothing yet that a stop could keep.
        """
        with self.write() as connection:
            whose = owned_job(job_id, tenant)
            done = end_job(connection, whose, order) if order == "cancel" else _stop(connection, whose)
            job = find_job(connection, job_id, tenant)
        if done:
            return job
        if job.state in TERMINAL_STATES:
            raise Conflict(
                f"job {job_id} is {job.state}; only a job that is queued or running can be told to {order}",
                hint="nothing is left to do: look at the job's result or error",
            )
        raise Conflict(
            f"job {job_id} is {job.state}; only a running job can be told to stop",
            hint="cancel it, or wait until it runs",
        )


def end_job(connection: Connection, whose: ColumnElement[bool], order: Literal["cancel", "stop"]) -> bool:
    """Cancels a job that waits, and asks one that runs for its end; a cancel outweighs a stop.

    It is one statement: a job that is claimed meanwhile is asked, one that is given back meanwhile is cancelled.

    Returns:
        False when the job has ended.
    """
    asked = literal("cancel") if order == "cancel" else func.coalesce(JOBS.c.requested, "stop")
    at_once = JOBS.c.state == "queued"
    row = connection.execute(
        update(JOBS)
        .where(whose, JOBS.c.state.in_(("queued", "running")))
        .values(
            state=case((at_once, "cancelled"), else_=JOBS.c.state),
            requested=case((at_once, null()), else_=asked),
            finished_us=case((at_once, now_us()), else_=null()),
            checkpoint_step=case((at_once, null()), else_=JOBS.c.checkpoint_step),
            last_event=JOBS.c.last_event + case((at_once, 1), else_=0),
        )
        .returning(JOBS.c.id, JOBS.c.state, JOBS.c.attempt, JOBS.c.last_event, now_us().label("at_us"))
    ).one_or_none()
    if row is not None and row.state == "cancelled":
        forget_checkpoint(connection, row.id)
        cancelled = StateChange(state="cancelled", attempt=row.attempt)
        append_events(connection, row.id, [cancelled], last_event=row.last_event, at_us=row.at_us)
    return row is not None


_VERSION = (JOBS.c.tenant, JOBS.c.last_event, JOBS.c.progress_us)


def _version_of(row: Row[Any]) -> JobVersion:
    return JobVersion(row.tenant, row.last_event, row.progress_us)


def _possible(job_ids: Sequence[str]) -> list[str]:
    return [job_id for job_id in job_ids if can_be_job_id(job_id)]


def _conditions(wanted: JobFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.states:
        yield JOBS.c.state.in_(wanted.states)
    for key, value in wanted.labels:
        yield exists().where(JOB_LABELS.c.job_id == JOBS.c.id, JOB_LABELS.c.key == key, JOB_LABELS.c.value == value)


def _stop(connection: Connection, whose: ColumnElement[bool]) -> bool:
    asked = func.coalesce(JOBS.c.requested, "stop")
    running = and_(whose, JOBS.c.state == "running")
    return connection.execute(update(JOBS).where(running).values(requested=asked)).rowcount == 1


def _token(created_us: int, job_id: str) -> str:
    return base64.urlsafe_b64encode(f"{created_us}.{job_id}".encode()).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, str]:
    try:
        mark = base64.urlsafe_b64decode(token.encode() + b"=" * (-len(token) % 4)).decode("ascii")
    except (binascii.Error, UnicodeError):
        mark = ""
    match = _PAGE_MARK.fullmatch(mark)
    if match is None:
        raise InvalidSpec(
            "page_token is not a token of this list",
            hint="pass next_page_token of the page before, or leave it out to start at the newest job",
        )
    return int(match[1]), match[2]
