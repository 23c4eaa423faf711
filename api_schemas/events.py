"""What a job tells while it runs, stored and numbered from 1 in the order it happened."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from api_schemas.answers import is_answer
from api_schemas.jobs import JobErrorInfo, JobState, Phase


class ProgressPoint(BaseModel):
    """One point of the curves: figures at an optimiser step.

    Few have a metric; those also say which it is.
    """

    model_config = ConfigDict(populate_by_name=True)

    kind: Literal["progress"] = "progress"
    step: int
    steps: int
    loss: float | None = None
    sparsity: float | None = None
    alpha: float | None = None
    lambda_: float | None = Field(default=None, alias="lambda")
    metric: float | None = None
    metric_name: str | None = None


class PhaseChange(BaseModel):
    """The job entered a phase."""

    kind: Literal["phase"] = "phase"
    phase: Phase


class StateChange(BaseModel):
    """The job entered a state; a final one ends the stream of events."""

    kind: Literal["state"] = "state"
    state: JobState
    attempt: int
    error: JobErrorInfo | None = None


class Message(BaseModel):
    """Something worth reading: a warning's code and sentence."""

    kind: Literal["message"] = "message"
    code: str
    text: str


KINDS = tuple(str(one.model_fields["kind"].default) for one in (ProgressPoint, PhaseChange, StateChange, Message))
EventBody = Annotated[ProgressPoint | PhaseChange | StateChange | Message, Field(discriminator="kind")]


class OtherEvent(BaseModel):
    """An event of a kind that a newer service has; clients pass over those that they do not know."""

    kind: str

    @model_validator(mode="after")
    def _is_of_a_newer_service(self, info: ValidationInfo) -> Self:
        if not is_answer(info) or self.kind in KINDS:
            raise ValueError(f"not an event of a known kind ({', '.join(KINDS)})")
        return self


class Event(BaseModel):
    """A stored event."""

    id: int
    at: datetime
    body: Annotated[EventBody | OtherEvent, Field(union_mode="left_to_right")]


class EventList(BaseModel):
    """Events after the one that was asked for, oldest first; `final` when no more will come."""

    events: tuple[Event, ...]
    final: bool
