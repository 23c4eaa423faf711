"""Sweeps: several jobs made at once, and the table of what their targets cost, read from the jobs themselves."""

from __future__ import annotations

import re
import uuid
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from api_schemas.jobs import TERMINAL_STATES, Job, JobSpec, Result
from api_schemas.sweeps import Sweep, SweepPoint, SweepSpec
from sterna.errors import NotFound
from storage.clock import as_datetime, now_us
from storage.database import Database
from storage.once import Turn, fulfil
from storage.quotas import check_queued
from storage.schema import JOBS, LOCAL, SWEEPS
from storage.submissions import insert_job

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
            if most_queued is not None:
                check_queued(connection, tenant, more=len(spec.targets), most=most_queued)
            row = {"id": sweep_id, "tenant": tenant, "spec": spec.model_dump_json(), "created_us": now_us()}
            connection.execute(insert(SWEEPS).values(row))
            jobs = tuple(insert_job(connection, one, tenant=tenant, sweep_id=sweep_id) for one in spec.job_specs())
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


def _find(connection: Connection, sweep_id: str, tenant: str) -> Sweep:
    row = None
    if _SWEEP_ID.fullmatch(sweep_id):
        query = select(SWEEPS).where(SWEEPS.c.id == sweep_id, SWEEPS.c.tenant == tenant)
        row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"there is no sweep {sweep_id[:80]!r}", hint="make one with POST /v1/sweeps")
    jobs = connection.execute(select(JOBS).where(JOBS.c.sweep_id == sweep_id)).all()
    points = _with_pareto(sorted((_point(job) for job in jobs), key=lambda point: point.target_sparsity))
    ended = all(point.state in TERMINAL_STATES for point in points)
    return Sweep(
        id=row.id,
        state="finished" if ended else "running",
        created_at=as_datetime(row.created_us),
        labels=SweepSpec.model_validate_json(row.spec).labels,
        points=points,
    )


def _point(row: Row[Any]) -> SweepPoint:
    target = JobSpec.model_validate_json(row.spec).target_sparsity
    if row.result is None:
        return SweepPoint(target_sparsity=target, job_id=row.id, state=row.state)
    result = Result.model_validate_json(row.result)
    return SweepPoint(
        target_sparsity=target,
        job_id=row.id,
        state=row.state,
        sparsity=result.sparsity,
        alpha=result.alpha,
        metric=result.metric,
        agreement=result.agreement,
        bits_per_weight=result.bits_per_weight,
        artifact_bytes=result.artifact_bytes,
        ratio=result.ratio,
    )


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
