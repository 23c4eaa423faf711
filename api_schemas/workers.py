"""The workers of an installation."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

from api_schemas.jobs import Sandbox


class Worker(BaseModel):
    """One worker process: what it can do at once, what it does now, and when it last said that it lives."""

    id: str
    capacity: int
    running: int
    sandbox: Sandbox | None = None
    alive: bool
    last_seen_at: datetime


class WorkerList(BaseModel):
    """Workers that were seen within the last week, those seen last first."""

    workers: tuple[Worker, ...]
