"""What a job would take, before there is one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from api_schemas.answers import OrNewer


class Estimate(BaseModel):
    """Rough figures: artifact bytes are within a few percent, time and memory within a factor of a few.

    `basis` says where the time comes from: `model`, earlier jobs with this very model; `history`, earlier jobs of this
    tenant; `rule`, what one core of an ordinary machine does.
    """

    seconds: float
    memory_bytes: int
    artifact_bytes: int
    steps: int = Field(description="Optimiser steps that the budget allows.")
    parameters: int
    ternarisable_weights: int
    basis: Annotated[Literal["model", "history", "rule"], OrNewer()]
