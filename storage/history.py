"""What earlier jobs took, to say what the next will take."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

from sqlalchemy import Select, and_, select

from api_schemas.jobs import Result
from storage.database import Database
from storage.schema import JOB_BLOBS, JOBS, LOCAL

_NEWEST = 20
_FEWEST_STEPS = 50
"""Of a job whose pace tells anything: a shorter one has mostly started and ended."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast earlier jobs were.

    Attributes:
        seconds_per_step: their median, over the whole job.
        weights: the median of the weights that they made ternary.
        same_model: whether they had the very model that is asked about.
    """

    seconds_per_step: float
    weights: float
    same_model: bool


class History(Database):
    """The part of the ledger that remembers how long things took."""

    def pace(self, model_sha256: str, *, tenant: str = LOCAL) -> Pace | None:
        """The pace of a tenant's newest jobs that succeeded: of those with this model if there are any, else of all."""
        done = and_(JOBS.c.tenant == tenant, JOBS.c.state == "succeeded")
        newest = select(JOBS.c.result).where(done).order_by(JOBS.c.finished_us.desc()).limit(_NEWEST)
        this = and_(JOB_BLOBS.c.job_id == JOBS.c.id, JOB_BLOBS.c.role == "model", JOB_BLOBS.c.sha256 == model_sha256)
        same = self._pace(newest.where(select(JOB_BLOBS.c.job_id).where(this).exists()), same_model=True)
        return same or self._pace(newest, same_model=False)

    def _pace(self, query: Select[Any], *, same_model: bool) -> Pace | None:
        with self.read() as connection:
            texts = connection.execute(query).scalars().all()
        results = [Result.model_validate_json(text) for text in texts]
        counted = [
            (result.seconds / result.steps, sum(layer.weights for layer in result.layers))
            for result in results
            if result.steps >= _FEWEST_STEPS and result.layers
        ]
        if not counted:
            return None
        return Pace(median(pace for pace, _ in counted), median(weights for _, weights in counted), same_model)
