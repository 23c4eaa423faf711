"""Jobs as those who send them see them: submit, look, list, read events, ask for an end."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from typing import Literal

from sqlalchemy import Connection, and_, case, exists, func, insert, null, or_, select, update

from api_schemas.events import EventList, StateChange
from api_schemas.jobs import TERMINAL_STATES, Job, JobList, JobSpec, JobState
from sterna.errors import Conflict, InvalidSpec, NotFound
from storage.clock import now_us
from storage.database import Database
from storage.records import append_events, event_of, job_of
from storage.schema import EVENTS, JOB_LABELS, JOBS

_JOB_ID = re.compile(r"job_[0-9a-f]{32}")
_PAGE_MARK = re.compile(r"([0-9]{1,18})\.(job_[0-9a-f]{32})")


class Jobs(Database):
    """The part of the ledger that the service speaks to."""

    def submit(self, spec: JobSpec) -> Job:
        """Writes down a new job: queued, first attempt.

        Its message counts as sent, so that the outbox speaks up only when whoever submits fails to send it.
        """
        job_id = f"job_{uuid.uuid4().hex}"
        with self.write() as connection:
            at_us = connection.execute(select(now_us())).scalar_one()
            connection.execute(
                insert(JOBS).values(
                    id=job_id,
                    state="queued",
                    spec=spec.model_dump_json(),
                    created_us=at_us,
                    sent_us=at_us,
                    last_event=1,
                )
            )
            labels = [{"job_id": job_id, "key": key, "value": value} for key, value in spec.labels.items()]
            if labels:
                connection.execute(insert(JOB_LABELS), labels)
            queued = StateChange(state="queued", attempt=1)
            append_events(connection, job_id, [queued], last_event=1, at_us=at_us)
            return _find(connection, job_id)

    def job(self, job_id: str) -> Job:
        """How a job stands.

        Raises:
            NotFound: there is no such job.
        """
        with self.read() as connection:
            return _find(connection, job_id)

    def jobs(
        self,
        *,
        state: JobState | None = None,
        label: tuple[str, str] | None = None,
        page_size: int = 50,
        page_token: str = "",
    ) -> JobList:
        """A page of jobs, newest first.

        Args:
            state: only jobs in this state.
            label: only jobs that carry this label, key and value.
            page_size: at most so many.
            page_token: `next_page_token` of the page before; jobs submitted since then do not shift the pages.

        Raises:
            InvalidSpec: the token is none of ours.
        """
        query = select(JOBS).order_by(JOBS.c.created_us.desc(), JOBS.c.id.desc()).limit(page_size + 1)
        if state is not None:
            query = query.where(JOBS.c.state == state)
        if label is not None:
            carried = and_(
                JOB_LABELS.c.job_id == JOBS.c.id, JOB_LABELS.c.key == label[0], JOB_LABELS.c.value == label[1]
            )
            query = query.where(exists().where(carried))
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

    def events(self, job_id: str, *, after: int = 0, limit: int = 1000) -> EventList:
        """What happened to a job after the event numbered `after`, oldest first.

        Raises:
            NotFound: there is no such job.
        """
        with self.read() as connection:
            job = connection.execute(
                select(JOBS.c.state, JOBS.c.last_event).where(JOBS.c.id == _checked(job_id))
            ).one_or_none()
            if job is None:
                raise _no_such(job_id)
            query = select(EVENTS).where(EVENTS.c.job_id == job_id, EVENTS.c.id > after).order_by(EVENTS.c.id)
            events = tuple(event_of(row) for row in connection.execute(query.limit(limit)))
        newest = events[-1].id if events else after
        return EventList(events=events, final=job.state in TERMINAL_STATES and newest >= job.last_event)

    def request(self, job_id: str, order: Literal["cancel", "stop"]) -> Job:
        """Asks for a job to be thrown away, or to finish now with the best so far.

        A queued job is cancelled at once. A running one is told through its worker, so it goes on running for a
        moment; asking again changes nothing, and a cancel outweighs a stop.

        Raises:
            NotFound: there is no such job.
            Conflict: it has ended, or it has not started and has nothing yet that a stop could keep.
        """
        with self.write() as connection:
            done = _cancel(connection, job_id) if order == "cancel" else _stop(connection, job_id)
            job = _find(connection, job_id)
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


def _cancel(connection: Connection, job_id: str) -> bool:
    at_once = JOBS.c.state == "queued"
    row = connection.execute(
        update(JOBS)
        .where(JOBS.c.id == _checked(job_id), JOBS.c.state.in_(("queued", "running")))
        .values(
            state=case((at_once, "cancelled"), else_=JOBS.c.state),
            requested=case((at_once, null()), else_="cancel"),
            finished_us=case((at_once, now_us()), else_=null()),
            last_event=JOBS.c.last_event + case((at_once, 1), else_=0),
        )
        .returning(JOBS.c.state, JOBS.c.attempt, JOBS.c.last_event, now_us().label("at_us"))
    ).one_or_none()
    if row is not None and row.state == "cancelled":
        cancelled = StateChange(state="cancelled", attempt=row.attempt)
        append_events(connection, job_id, [cancelled], last_event=row.last_event, at_us=row.at_us)
    return row is not None


def _stop(connection: Connection, job_id: str) -> bool:
    asked = func.coalesce(JOBS.c.requested, "stop")
    running = and_(JOBS.c.id == _checked(job_id), JOBS.c.state == "running")
    return connection.execute(update(JOBS).where(running).values(requested=asked)).rowcount == 1


def _find(connection: Connection, job_id: str) -> Job:
    row = connection.execute(select(JOBS).where(JOBS.c.id == _checked(job_id))).one_or_none()
    if row is None:
        raise _no_such(job_id)
    return job_of(row)


def _checked(job_id: str) -> str:
    """The id itself; a string that cannot be one never reaches the database."""
    if not _JOB_ID.fullmatch(job_id):
        raise _no_such(job_id)
    return job_id


def _no_such(job_id: str) -> NotFound:
    return NotFound(f"there is no job {job_id[:80]!r}", hint="list the jobs to see which there are")


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
