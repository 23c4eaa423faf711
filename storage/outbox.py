"""What webhooks are to be told is written where the change is written, in its transaction."""

from __future__ import annotations

import uuid
from typing import Final

from pydantic import TypeAdapter
from sqlalchemy import Connection, and_, insert, select

from api_schemas.events import StateChange
from api_schemas.jobs import JobSpec
from api_schemas.webhooks import JobNews, WebhookPayload
from storage.clock import as_datetime
from storage.schema import DELIVERIES, JOBS, WEBHOOKS

EVENTS: Final[TypeAdapter[tuple[str, ...]]] = TypeAdapter(tuple[str, ...])


def enqueue_news(connection: Connection, job_id: str, change: StateChange, *, at_us: int) -> None:
    """Writes what the tenant's webhooks are to be told of a job, in the transaction of its change."""
    job = connection.execute(select(JOBS.c.tenant, JOBS.c.spec).where(JOBS.c.id == job_id)).one()
    enabled = and_(WEBHOOKS.c.tenant == job.tenant, WEBHOOKS.c.disabled_reason == "")
    kind = f"job.{change.state}"
    # Held until the end: a webhook deleted between this and the insert would undo the change of the job with it.
    hooks = select(WEBHOOKS.c.id, WEBHOOKS.c.events).where(enabled).with_for_update(read=True, key_share=True)
    told = [row.id for row in connection.execute(hooks) if kind in EVENTS.validate_json(row.events)]
    if not told:
        return
    labels = JobSpec.model_validate_json(job.spec).labels
    news = JobNews(job_id=job_id, state=change.state, attempt=change.attempt, labels=labels, error=change.error)
    payload = WebhookPayload.model_validate({"type": kind, "timestamp": as_datetime(at_us), "data": news})
    row = {
        "type": kind,
        "job_id": job_id,
        "body": payload.model_dump_json(exclude_none=True),
        "state": "pending",
        "attempts": 0,
        "created_us": at_us,
        "next_us": at_us,
        "last_error": "",
    }
    rows = [row | {"id": f"msg_{uuid.uuid4().hex}", "webhook_id": webhook_id} for webhook_id in told]
    connection.execute(insert(DELIVERIES), rows)
