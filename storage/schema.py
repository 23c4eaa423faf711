"""The tables of the ledger. JSON is kept as text: the wire contract is checked by pydantic, not by the database."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, ForeignKey, Index, Integer, MetaData, Table, Text

METADATA = MetaData()

LOCAL: Final = "local"
"""The tenant of an installation that asks for no keys. Everything belongs to one tenant; others cannot see it."""

SWEEPS = Table(
    "sweeps",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("spec", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    # The newest round of trials while another may follow it, else NULL, and what kept another from following.
    Column("round", Integer),
    Column("ended_because", Text),
)

JOBS = Table(
    "jobs",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("phase", Text),
    Column("spec", Text, nullable=False),
    Column("result", Text),
    Column("error", Text),
    # What clients see of the work.
    Column("step", BigInteger, nullable=False, default=0),
    Column("steps", BigInteger),
    Column("progress_us", BigInteger),
    Column("latest", Text, nullable=False, default="{}"),
    # When.
    Column("created_us", BigInteger, nullable=False),
    Column("started_us", BigInteger),
    Column("finished_us", BigInteger),
    # Who works on it. `attempt` rises at every new start, `lost_attempts` only when a worker fell silent.
    Column("attempt", Integer, nullable=False, default=1),
    Column("lost_attempts", Integer, nullable=False, default=0),
    Column("worker_id", Text),
    # What holds the process of the newest attempt; a queued job has had none, or a former one's.
    Column("sandbox", Text),
    Column("claimed_us", BigInteger),
    Column("lease_until_us", BigInteger),
    # What somebody asked of the running job: NULL, 'stop' or 'cancel'.
    Column("requested", Text),
    # The outbox: when its message was last sent, and how many times longer to wait before sending it again.
    Column("sent_us", BigInteger),
    Column("patience", Integer, nullable=False, default=1),
    Column("last_event", BigInteger, nullable=False, default=0),
    Column("sweep_id", Text, ForeignKey("sweeps.id")),
    # Before which step its checkpoint stands, and before which step the newest attempt went on; NULL without one.
    Column("checkpoint_step", BigInteger),
    Column("resumed_step", BigInteger),
    # Of a sweep's trials, which go out side by side; NULL for any other job.
    Column("round", Integer),
    CheckConstraint("state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name="jobs_state"),
    CheckConstraint("requested IN ('stop', 'cancel')", name="jobs_requested"),
    CheckConstraint("(state = 'running') = (worker_id IS NOT NULL)", name="jobs_running_has_worker"),
    CheckConstraint("(state = 'succeeded') = (result IS NOT NULL)", name="jobs_succeeded_has_result"),
    Index("jobs_newest", "tenant", "created_us", "id"),
    Index("jobs_by_state", "state", "created_us", "id"),
    Index("jobs_by_sweep", "sweep_id"),
)

JOB_LABELS = Table(
    "job_labels",
    METADATA,
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Index("job_labels_by_value", "key", "value", "job_id"),
)

EVENTS = Table(
    "events",
    METADATA,
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)

# The content that a job holds on to: what it works on, the files that came out, and while it has not ended the one
# checkpoint that its next attempt goes on from.
JOB_BLOBS = Table(
    "job_blobs",
    METADATA,
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("role", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("upload_id", Text),
    CheckConstraint("role IN ('model', 'data', 'artifact', 'checkpoint')", name="job_blobs_role"),
    Index("job_blobs_by_content", "sha256"),
    Index("job_blobs_by_upload", "upload_id"),
)

# The end of what each attempt's runner wrote to its log.
JOB_LOGS = Table(
    "job_logs",
    METADATA,
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
)

# Content that may be in the blob store. Who is about to rely on one pins it first; storage/collection.py says why.
BLOBS = Table(
    "blobs",
    METADATA,
    Column("sha256", Text, primary_key=True),
    Column("pinned_us", BigInteger, nullable=False),
    Index("blobs_oldest", "pinned_us"),
)

# Requests that carried an Idempotency-Key. `location` and `body` are NULL while one is being handled.
ONCE = Table(
    "once",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("held_until_us", BigInteger, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("location", Text),
    Column("body", Text),
    Index("once_oldest", "created_us"),
)

WORKERS = Table(
    "workers",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("capacity", Integer, nullable=False),
    Column("sandbox", Text),
    Column("seen_us", BigInteger, nullable=False),
)

UPLOADS = Table(
    "uploads",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("part_bytes", BigInteger, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Index("uploads_by_content", "sha256"),
    Index("uploads_by_tenant", "tenant", "created_us"),
)

UPLOAD_PARTS = Table(
    "upload_parts",
    METADATA,
    Column("upload_id", Text, ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True),
    Column("n", Integer, primary_key=True, autoincrement=False),
)

# A row for each tenant that was counted: storage/quotas.py locks it.
TENANTS = Table(
    "tenants",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("locks", BigInteger, nullable=False),
)

API_KEYS = Table(
    "api_keys",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("sha256", Text, nullable=False, unique=True),
    Column("created_us", BigInteger, nullable=False),
    Column("revoked_us", BigInteger),
    CheckConstraint("scope IN ('read', 'submit', 'admin')", name="api_keys_scope"),
)

WEBHOOKS = Table(
    "webhooks",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("events", Text, nullable=False),
    # What signs: kept as it is, since a signature cannot be made with a digest of it.
    Column("secret", Text, nullable=False),
    Column("old_secret", Text),
    Column("old_until_us", BigInteger),
    Column("disabled_reason", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Index("webhooks_by_tenant", "tenant", "created_us"),
)

# The outbox of the webhooks. `next_us` is when the next try is due, NULL when none will come.
DELIVERIES = Table(
    "deliveries",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("webhook_id", Text, ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    Column("job_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("next_us", BigInteger),
    Column("last_status", Integer),
    Column("last_error", Text, nullable=False),
    CheckConstraint("state IN ('pending', 'delivered', 'failed')", name="deliveries_state"),
    Index("deliveries_due", "state", "next_us"),
    Index("deliveries_by_webhook", "webhook_id", "created_us"),
)
