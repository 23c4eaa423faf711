"""A sweep: one model at several targets, a job for each, and what the targets cost."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api_schemas.answers import OrNewer
from api_schemas.jobs import CompressOptions, JobSpec, JobState, Metric, Submission

Target = Annotated[float, Field(gt=0, lt=1)]


class SweepSpec(CompressOptions, Submission):
    """What `POST /v1/sweeps` takes: the spec of a job, with several targets."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "upl_3f2b8c1d9e7a4f60b5c4d3e2f1a09876", "targets": [0.5, 0.7, 0.9]}]}
    )

    targets: tuple[Target, ...] = Field(min_length=1, max_length=64, description="Each becomes a job.")

    @model_validator(mode="after")
    def _targets_differ(self) -> Self:
        if len(set(self.targets)) < len(self.targets):
            raise ValueError("a target is there twice")
        return self

    def job_specs(self) -> tuple[JobSpec, ...]:
        """The spec of each job, in the order of the targets."""
        fields = self.model_dump(exclude={"targets"})
        return tuple(JobSpec.model_validate(fields | {"target_sparsity": target}) for target in self.targets)


class SweepPoint(BaseModel):
    """One target: the job that was made for it and, once it has succeeded, what came out.

    `pareto` says that no other point of the sweep has both a smaller file and a smaller loss; what is lost is the
    metric's drop, or 1 − agreement where there is no metric.
    """

    target_sparsity: float
    job_id: str
    state: JobState
    sparsity: float | None = None
    alpha: float | None = None
    metric: Metric | None = None
    agreement: float | None = None
    bits_per_weight: float | None = None
    artifact_bytes: int | None = None
    ratio: float | None = None
    pareto: bool = False


class Sweep(BaseModel):
    """How a sweep stands; its points are in the order of their targets."""

    id: str
    state: Annotated[Literal["running", "finished"], OrNewer()]
    created_at: datetime
    labels: dict[str, str]
    points: tuple[SweepPoint, ...]
