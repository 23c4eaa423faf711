"""Sweeps: several jobs made at once, and the table of what their targets cost, read from the jobs themselves.

Trials that go out side by side are jobs as well, several for each target. When all jobs of a sweep have ended, whoever
notices first plans the next round: the number of the sweep's round is raised from r only where it still is r, in the
transaction that makes the jobs of r + 1, so that no round is planned twice and none is lost with who planned it.

Whoever ends or removes a sweep locks its row first, and its jobs afterwards. A round that is planned at the same time
is there before and ends with the others, or finds that no round may follow.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, exists, insert, null, select, update

from api_schemas.jobs import TERMINAL_STATES, Job, JobSpec, Result
from api_schemas.queue import JobMessage
from api_schemas.sweeps import MOST_ROUNDS, Sweep, SweepPoint, SweepSpec
from sterna.errors import Conflict, NotFound, QuotaExceeded
from sterna.trials import Trial, round_of_alphas
from storage.clock import as_datetime, now_us
from storage.database import Database
from storage.jobs import end_job
from storage.once import Turn, fulfil
from storage.quotas import check_queued
from storage.schema import JOB_BLOBS, JOBS, LOCAL, SWEEPS
from storage.submissions import delete_uploads, insert_job

_SWEEP_ID = re.compile(r"swp_[0-9a-f]{32}")


class Sweeps(Database):
    """The part of the ledger that knows the sweeps."""

    def create_sweep(
        self, spec: SweepSpec, *, tenant: str = LOCAL, turn: Turn | None = None, most_queued: int | None = None
    ) -> tuple[Sweep, tuple[Job, ...]]:
        """Makes a sweep and all its jobs, or none of them.

        Args:
            spec: what is asked for; its uploads must be complete and the tenant's own.
            tenant: whose it is.
            turn: of a request with an idempotency key; the sweep becomes its answer.
            most_queued: so many jobs of the tenant may wait.

        Raises:
            NotFound: an upload is not there, not complete or another tenant's.
            QuotaExceeded: too many jobs would wait.
            RequestInProgress: the turn was lost to another try.
        """
        sweep_id = f"swp_{uuid.uuid4().hex}"
        with self.write() as connection:
            in_rounds = spec.side_by_side is not None
            first = 1 if in_rounds else None
            specs = tuple(_next_trials(spec, ())) if in_rounds else spec.job_specs()
            if most_queued is not None:
                check_queued(connection, tenant, more=len(specs), most=most_queued)
            row = {"id": sweep_id, "tenant": tenant, "spec": spec.model_dump_json(), "created_us": now_us()}
            connection.execute(insert(SWEEPS).values(row | {"round": first}))
            jobs = tuple(insert_job(connection, one, tenant=tenant, sweep_id=sweep_id, round=first) for one in specs)
            sweep = _find(connection, sweep_id, tenant)
            if turn is not None:
                fulfil(connection, turn, location=f"/v1/sweeps/{sweep_id}", body=sweep.model_dump_json())
            return sweep, jobs

    def sweep(self, sweep_id: str, *, tenant: str = LOCAL) -> Sweep:
        """How a sweep stands.

        Raises:
            NotFound: the tenant has no such sweep.
        """
        with self.read() as connection:
            return _find(connection, sweep_id, tenant)

    def request_sweep(self, sweep_id: str, order: Literal["cancel", "stop"], *, tenant: str = LOCAL) -> Sweep:
        """Asks for all jobs of a sweep to be thrown away, or to finish now with the best so far; no round follows.

        Jobs that wait are cancelled at once, whatever the order; those that run are told through their workers. Asking
        again changes nothing while jobs run, and a cancel outweighs a stop.

        Raises:
            NotFound: the tenant has no such sweep.
            Conflict: it has ended.
        """
        at_work = and_(JOBS.c.sweep_id == sweep_id, JOBS.c.state.not_in(TERMINAL_STATES))
        reason = f"the sweep was {'cancelled' if order == 'cancel' else 'stopped'}"
        with self.write() as connection:
            _lock(connection, sweep_id, tenant)
            in_rounds = and_(SWEEPS.c.id == sweep_id, SWEEPS.c.round.is_not(None))
            ending = {"round": null(), "ended_because": reason}
            done = connection.execute(update(SWEEPS).where(in_rounds).values(ending)).rowcount
            # In the order of their ids, as by whoever else locks several, or the two would wait for each other.
            for job_id in connection.execute(select(JOBS.c.id).where(at_work).order_by(JOBS.c.id)).scalars().all():
                done += end_job(connection, JOBS.c.id == job_id, order)
            sweep = _find(connection, sweep_id, tenant)
        if not done:
            raise Conflict(
                f"sweep {sweep_id} is {sweep.state}; only a sweep that is running can be told to {order}",
                hint="nothing is left to do: look at the results of its jobs",
            )
        return sweep

    def delete_sweep(self, sweep_id: str, *, tenant: str = LOCAL) -> tuple[str, ...]:
        """Removes a sweep that has ended, and its jobs as `delete_job` does.

        Returns:
            The content that its jobs held on to. What nothing else refers to can be collected.

        Raises:
            NotFound: the tenant has no such sweep.
            Conflict: it has not ended.
        """
        own = JOBS.c.sweep_id == sweep_id
        with self.write() as connection:
            _lock(connection, sweep_id, tenant)
            held = connection.execute(
                select(JOB_BLOBS.c.sha256, JOB_BLOBS.c.upload_id)
                .join(JOBS, JOBS.c.id == JOB_BLOBS.c.job_id)
                .where(own)
                .order_by(JOB_BLOBS.c.job_id)
            ).all()
            connection.execute(delete(JOBS).where(own, JOBS.c.state.in_(TERMINAL_STATES)))
            rest = exists().where(JOBS.c.sweep_id == SWEEPS.c.id)
            over = and_(SWEEPS.c.id == sweep_id, SWEEPS.c.round.is_(None), ~rest)
            if connection.execute(delete(SWEEPS).where(over)).rowcount != 1:
                # What was removed above is there again with this.
                raise Conflict(
                    f"sweep {sweep_id} is running; only a sweep that has ended can be deleted", hint="cancel it"
                )
            delete_uploads(connection, sorted({row.upload_id for row in held if row.upload_id is not None}))
        return tuple(dict.fromkeys(row.sha256 for row in held))

    def plan_rounds(self, *, limit: int = 100, most_queued: int | None = None) -> tuple[tuple[JobMessage, ...], ...]:
        """Makes the next round of trials of sweeps whose jobs have all ended, or ends their rounds.

        The rounds of a target end when a trial is within the tolerance, when the newest round had no success, or after
        `MOST_ROUNDS`. A round that the tenant may not have ends those of the sweep, which then says why.

        Args:
            limit: so many sweeps at most.
            most_queued: so many jobs of a tenant may wait.

        Returns:
            For each sweep that goes on the messages of its new jobs, which count as sent: send them, as one group.
        """
        with self.read() as connection:
            ended = select(SWEEPS.c.id, SWEEPS.c.round).where(_is_over()).order_by(SWEEPS.c.created_us).limit(limit)
            rows = connection.execute(ended).all()
        groups = []
        for row in rows:
            at_round = and_(SWEEPS.c.id == row.id, SWEEPS.c.round == row.round)
            try:
                with self.write() as connection:
                    messages = _plan(connection, at_round, most_queued)
            except (QuotaExceeded, NotFound) as error:
                reason = f"round {row.round + 1} was not made: {error.detail}"
                with self.write() as connection:
                    ending = {"round": null(), "ended_because": reason}
                    connection.execute(update(SWEEPS).where(at_round).values(ending))
            else:
                groups += [messages] if messages else []
        return tuple(groups)


def _is_over() -> ColumnElement[bool]:
    """The condition on a row of `SWEEPS` that its newest round has ended and another may follow."""
    at_work = exists().where(JOBS.c.sweep_id == SWEEPS.c.id, JOBS.c.state.not_in(TERMINAL_STATES))
    return and_(SWEEPS.c.round.is_not(None), ~at_work)


def _plan(connection: Connection, at_round: ColumnElement[bool], most_queued: int | None) -> tuple[JobMessage, ...]:
    """Makes the next round; empty where another transaction has made it, or none follows."""
    raised = update(SWEEPS).where(at_round, _is_over()).values(round=SWEEPS.c.round + 1)
    sweep = connection.execute(raised.returning(*SWEEPS.c)).one_or_none()
    if sweep is None:
        return ()
    spec = SweepSpec.model_validate_json(sweep.spec)
    jobs = connection.execute(select(JOBS).where(JOBS.c.sweep_id == sweep.id)).all()
    specs = () if sweep.round > MOST_ROUNDS else tuple(_next_trials(spec, [_point(job) for job in jobs]))
    if not specs:
        connection.execute(update(SWEEPS).where(SWEEPS.c.id == sweep.id).values(round=null()))
        return ()
    if most_queued is not None:
        check_queued(connection, sweep.tenant, more=len(specs), most=most_queued)
    made = [insert_job(connection, one, tenant=sweep.tenant, sweep_id=sweep.id, round=sweep.round) for one in specs]
    return tuple(JobMessage(job_id=job.id, attempt=job.attempt) for job in made)


def _next_trials(spec: SweepSpec, points: Sequence[SweepPoint]) -> Iterator[JobSpec]:
    """The trials that follow those there were: none for a target that is met, or whose newest round taught nothing."""
    assert spec.side_by_side is not None
    newest = max((point.round or 0 for point in points), default=0)
    for target in spec.targets:
        own = [point for point in points if point.target_sparsity == target and point.trial_sparsity is not None]
        trials = [
            Trial(point.trial_alpha, point.trial_sparsity)
            for point in own
            if point.trial_alpha is not None and point.trial_sparsity is not None
        ]
        learnt = not points or any(point.round == newest for point in own)
        met = any(abs(trial.sparsity - target) <= spec.tolerance for trial in trials)
        if learnt and not met:
            for alpha in round_of_alphas(target, trials, spec.side_by_side):
                yield spec.trial_spec(target, alpha)


def _lock(connection: Connection, sweep_id: str, tenant: str) -> None:
    """Makes whoever else plans, ends or removes this sweep wait for the end of the transaction; SQLite does anyway."""
    query = select(SWEEPS.c.id).where(_owned(sweep_id, tenant)).with_for_update()
    if connection.execute(query).one_or_none() is None:
        raise _no_such_sweep(sweep_id)


def _owned(sweep_id: str, tenant: str) -> ColumnElement[bool]:
    """The condition on a row of `SWEEPS`; a string that cannot be an id never reaches the database.

    Raises:
        NotFound: it cannot be one.
    """
    if _SWEEP_ID.fullmatch(sweep_id) is None:
        raise _no_such_sweep(sweep_id)
    return and_(SWEEPS.c.id == sweep_id, SWEEPS.c.tenant == tenant)


def _no_such_sweep(sweep_id: str) -> NotFound:
    return NotFound(f"there is no sweep {sweep_id[:80]!r}", hint="make one with POST /v1/sweeps")


def _find(connection: Connection, sweep_id: str, tenant: str) -> Sweep:
    row = connection.execute(select(SWEEPS).where(_owned(sweep_id, tenant))).one_or_none()
    if row is None:
        raise _no_such_sweep(sweep_id)
    jobs = connection.execute(select(JOBS).where(JOBS.c.sweep_id == sweep_id)).all()
    points = _with_nearest(_with_pareto(sorted((_point(job) for job in jobs), key=_place)))
    ended = row.round is None and all(point.state in TERMINAL_STATES for point in points)
    return Sweep(
        id=row.id,
        state="finished" if ended else "running",
        created_at=as_datetime(row.created_us),
        labels=SweepSpec.model_validate_json(row.spec).labels,
        points=points,
        ended_because=row.ended_because,
    )


def _point(row: Row[Any]) -> SweepPoint:
    spec = JobSpec.model_validate_json(row.spec)
    point = SweepPoint(
        target_sparsity=spec.target_sparsity,
        job_id=row.id,
        state=row.state,
        round=row.round,
        trial_alpha=None if row.round is None else spec.search.alpha,
    )
    if row.result is None:
        return point
    result = Result.model_validate_json(row.result)
    figures = SweepPoint(
        **point.model_dump(exclude_unset=True),
        sparsity=result.sparsity,
        alpha=result.alpha,
        metric=result.metric,
        agreement=result.agreement,
        bits_per_weight=result.bits_per_weight,
        artifact_bytes=result.artifact_bytes,
        ratio=result.ratio,
    )
    if row.round is not None and result.trials:
        return figures.model_copy(update={"trial_sparsity": result.trials[-1].sparsity})
    return figures


def _place(point: SweepPoint) -> tuple[float, float]:
    return point.target_sparsity, point.trial_alpha or 0.0


def _with_nearest(points: tuple[SweepPoint, ...]) -> tuple[SweepPoint, ...]:
    nearest: dict[float, tuple[float, str]] = {}
    for point in points:
        if point.trial_sparsity is not None:
            miss = (abs(point.trial_sparsity - point.target_sparsity), point.job_id)
            nearest[point.target_sparsity] = min(miss, nearest.get(point.target_sparsity, miss))
    marked = {job_id for _, job_id in nearest.values()}
    return tuple(point.model_copy(update={"nearest": point.job_id in marked}) for point in points)


def _with_pareto(points: list[SweepPoint]) -> tuple[SweepPoint, ...]:
    costs = {point.job_id: _cost(point) for point in points if point.artifact_bytes is not None}
    best = {one for one, cost in costs.items() if not any(_is_better(other, cost) for other in costs.values())}
    return tuple(point.model_copy(update={"pareto": point.job_id in best}) for point in points)


def _cost(point: SweepPoint) -> tuple[float, float]:
    assert point.artifact_bytes is not None
    if point.metric is not None:
        return point.artifact_bytes, point.metric.drop
    return point.artifact_bytes, 0.0 if point.agreement is None else 1.0 - point.agreement


def _is_better(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and one[0] <= other[0] and one[1] <= other[1]
