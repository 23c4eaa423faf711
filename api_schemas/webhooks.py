"""Webhooks: where to tell that a job has changed its state, and how that went."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from api_schemas.answers import OrNewer
from api_schemas.jobs import JobErrorInfo, JobState, Wire

WebhookEvent = Annotated[
    Literal["job.queued", "job.running", "job.succeeded", "job.failed", "job.cancelled"], OrNewer()
]
FINAL_EVENTS: tuple[WebhookEvent, ...] = ("job.succeeded", "job.failed", "job.cancelled")


class WebhookRequest(Wire):
    """Where to tell what. Without `events` the end of each job is told."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"url": "https://ci.example.com/hooks/sterna"}]})

    url: str = Field(
        max_length=2048,
        pattern=r"^https?://[^\s/?#@]+([/?][^\s#]*)?$",
        description="http or https; no user, no fragment. It must not lead into the service's own network.",
    )
    events: tuple[WebhookEvent, ...] = Field(default=FINAL_EVENTS, min_length=1, max_length=5)


class Webhook(BaseModel):
    """A place that is told. One that answered 410 is disabled, and `disabled_reason` says so."""

    id: str
    url: str
    events: tuple[WebhookEvent, ...]
    enabled: bool
    disabled_reason: str = ""
    created_at: datetime


class WebhookWithSecret(Webhook):
    """The same with the secret that signs what is sent; it is shown this once."""

    secret: str = Field(description="`whsec_…`, as Standard Webhooks has it.")


class WebhookList(BaseModel):
    """All webhooks of the tenant, oldest first."""

    webhooks: tuple[Webhook, ...]


class Delivery(BaseModel):
    """One event on its way to one webhook. Its id is sent as `webhook-id`, the same with each try."""

    id: str
    type: WebhookEvent
    job_id: str
    state: Annotated[Literal["pending", "delivered", "failed"], OrNewer()]
    attempts: int
    created_at: datetime
    next_attempt_at: datetime | None = None
    last_status: int | None = None
    last_error: str = ""


class DeliveryList(BaseModel):
    """The newest deliveries of a webhook, newest first."""

    deliveries: tuple[Delivery, ...]


class JobNews(BaseModel):
    """What an event says of a job; the rest can be asked for."""

    job_id: str
    state: JobState
    attempt: int
    labels: dict[str, str] = Field(default_factory=dict)
    error: JobErrorInfo | None = None


class WebhookPayload(BaseModel):
    """The body of a delivery, signed by Standard Webhooks."""

    type: WebhookEvent
    timestamp: datetime
    data: JobNews
