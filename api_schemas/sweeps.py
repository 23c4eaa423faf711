"""A sweep: one model at several targets, a job for each, and what the targets cost."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api_schemas.answers import OrNewer
from api_schemas.jobs import CompressOptions, JobSpec, JobState, Metric, Submission

MOST_ROUNDS: Final = 3
"""Of trials that go out side by side."""

Target = Annotated[float, Field(gt=0, lt=1)]


class SweepSpec(CompressOptions, Submission):
    """What `POST /v1/sweeps` takes: the spec of a job, with several targets."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "upl_3f2b8c1d9e7a4f60b5c4d3e2f1a09876", "targets": [0.5, 0.7, 0.9]}]}
    )

    targets: tuple[Target, ...] = Field(min_length=1, max_length=64, description="Each becomes a job.")

    side_by_side: int | None = Field(
        default=None,
        ge=2,
        le=8,
        description="With strategy `trials`: so many trials for each target are jobs of their own, in up to "
        f"{MOST_ROUNDS} rounds.",
    )

    @model_validator(mode="after")
    def _targets_differ(self) -> Self:
        if len(set(self.targets)) < len(self.targets):
            raise ValueError("a target is there twice")
        return self

    @model_validator(mode="after")
    def _side_by_side_goes_with_trials(self) -> Self:
        if self.side_by_side is not None and (self.search.strategy != "trials" or self.search.alpha is not None):
            raise ValueError("side_by_side is given only with strategy 'trials' and without an alpha")
        return self

    def job_specs(self) -> tuple[JobSpec, ...]:
        """A spec for each target, in their order: that of its job, or of its trials but for α."""
        fields = self.model_dump(exclude={"targets", "side_by_side"})
        return tuple(JobSpec.model_validate(fields | {"target_sparsity": target}) for target in self.targets)

    def trial_spec(self, target: float, alpha: float) -> JobSpec:
        """The spec of one trial."""
        search = self.search.model_copy(update={"alpha": alpha})
        fields = self.model_dump(exclude={"targets", "side_by_side"})
        return JobSpec.model_validate(fields | {"target_sparsity": target, "search": search.model_dump()})


class SweepPoint(BaseModel):
    """One target: the job that was made for it and, once it has succeeded, what came out.

    `pareto` says that no other point of the sweep has both a smaller file and a smaller loss; what is lost is the
    metric's drop, or 1 − agreement where there is no metric.

    Of a trial, `trial_alpha` is the α that was given, `trial_sparsity` what it alone gave, before the landing on the
    target; `nearest` marks the trial of a target that came nearest to it.
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
    round: int | None = None
    trial_alpha: float | None = None
    trial_sparsity: float | None = None
    nearest: bool = False


class Sweep(BaseModel):
    """How a sweep stands; its points are in the order of their targets, trials of one target in that of their α.

    `ended_because` says what kept a further round of trials from being made where one could have followed: a quota, or
    that somebody cancelled or stopped the sweep.
    """

    id: str
    state: Annotated[Literal["running", "finished"], OrNewer()]
    created_at: datetime
    labels: dict[str, str]
    points: tuple[SweepPoint, ...]
    ended_because: str | None = None
