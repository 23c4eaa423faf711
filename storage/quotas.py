"""What a tenant may use, counted in the transaction that uses more of it.

Two requests of one tenant must not both find room for one: whoever counts first locks the tenant's row, which makes the
others wait. In SQLite every writer waits for its turn anyway.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, func, select, text, union_all

from sterna.errors import QuotaExceeded
from storage.schema import JOB_BLOBS, JOBS, UPLOADS

_LOCK: Final = text(
    "INSERT INTO tenants (id, locks) VALUES (:tenant, 1) ON CONFLICT (id) DO UPDATE SET locks = tenants.locks + 1"
)


def lock_tenant(connection: Connection, tenant: str) -> None:
    """Makes other transactions that lock the same tenant wait for the end of this one."""
    # One statement, for two transactions may both find no row; PostgreSQL and SQLite say it in the same words.
    connection.execute(_LOCK, {"tenant": tenant})


def stored_bytes(connection: Connection, tenant: str) -> int:
    """Bytes of the content that a tenant holds on to, each content once; uploads count before they are complete.

    Checkpoints do not count: they are ours, and come and go while a job runs.
    """
    uploaded = select(UPLOADS.c.sha256, UPLOADS.c.bytes).where(UPLOADS.c.tenant == tenant)
    own = and_(JOB_BLOBS.c.job_id == JOBS.c.id, JOB_BLOBS.c.role != "checkpoint")
    held = select(JOB_BLOBS.c.sha256, JOB_BLOBS.c.bytes).join(JOBS, own).where(JOBS.c.tenant == tenant)
    both = union_all(uploaded, held).subquery()
    once = select(func.max(both.c.bytes).label("bytes")).group_by(both.c.sha256).subquery()
    return int(connection.execute(select(func.coalesce(func.sum(once.c.bytes), 0))).scalar_one())


def check_stored(connection: Connection, tenant: str, *, more: int, most: int) -> None:
    """Refuses content beyond what a tenant may store.

    Raises:
        QuotaExceeded: it would be more than `most` bytes.
    """
    lock_tenant(connection, tenant)
    stored = stored_bytes(connection, tenant)
    if stored + more > most:
        raise QuotaExceeded(
            f"{stored} bytes are stored and {more} more would exceed the {most} that are allowed",
            hint="delete jobs that are not needed any more: DELETE /v1/jobs/{id}",
        )


def check_queued(connection: Connection, tenant: str, *, more: int, most: int) -> None:
    """Refuses jobs beyond what a tenant may have waiting.

    Raises:
        QuotaExceeded: it would be more than `most` jobs.
    """
    lock_tenant(connection, tenant)
    waiting = select(func.count()).where(JOBS.c.tenant == tenant, JOBS.c.state == "queued")
    queued = connection.execute(waiting).scalar_one()
    if queued + more > most:
        raise QuotaExceeded(
            f"{queued} jobs are waiting and {more} more would exceed the {most} that are allowed",
            hint="wait until some have begun, or cancel some",
            retry_after_s=30,
        )


def may_run_more(most: int) -> ColumnElement[bool]:
    """The condition on a row of `JOBS` that its tenant has fewer than `most` jobs running.

    Two transactions that each take another job see none of each other's: lock the tenant before one is taken.
    """
    others = JOBS.alias("others")
    running = select(func.count()).where(others.c.tenant == JOBS.c.tenant, others.c.state == "running")
    return running.correlate(JOBS).scalar_subquery() < most
