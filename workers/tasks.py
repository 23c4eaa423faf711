"""The one Celery task: claim an attempt of a job and supervise it.

Celery acknowledges a message before the task runs, and keeps no result: what happened is in the ledger. A message that
is late, repeated or about a job that moved on finds nothing to claim and is over at once.
"""

from __future__ import annotations

import logging

from api_schemas import JobMessage
from sterna.json_logs import bound
from workers.context import WorkerContext

_log = logging.getLogger(__name__)


def run_job(context: WorkerContext, message: JobMessage) -> str:
    """Claim and run one attempt.

    Returns:
        One word for the log: how it ended, or `not due`.
    """
    if context.stopping.is_set():
        # Celery fetched it before the shutdown and thinks it done: announced at once, a worker that lives hears it.
        context.ledger.unheard([message])
        return "not due"
    settings = context.settings
    lease = context.ledger.claim(
        message,
        worker_id=context.worker_id,
        lease_s=settings.lease_s,
        sandbox=context.confinement.name,
        most_running=settings.tenant_running,
    )
    if lease is None:
        return "not due"
    with bound(job_id=message.job_id, attempt=message.attempt):
        outcome = context.supervisor().run(lease)
    _log.info("%s attempt %d: %s", message.job_id, message.attempt, outcome)
    return outcome
