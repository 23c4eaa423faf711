"""The one Celery task: claim the job whose turn it is and supervise it.

Celery acknowledges a message before the task runs, and keeps no result: what happened is in the ledger. A message says
that a job waits; which one is run is chosen in the ledger, fairly between tenants. One that is late or repeated finds
nothing that waits, or starts a job a little earlier than its own message would have.
"""

from __future__ import annotations

import logging

from api_schemas import JobMessage
from sterna.json_logs import bound
from workers.context import WorkerContext
from workers.slots import Slot

_log = logging.getLogger(__name__)


def run_job(context: WorkerContext, message: JobMessage) -> str:
    """Claim and run one attempt of one job.

    Returns:
        What the log says: how it ended, `not due` or `no slot`.
    """
    if context.stopping.is_set():
        # Celery fetched it before the shutdown and thinks it done: announced at once, a worker that lives hears it.
        context.ledger.unheard([message])
        return "not due"
    with context.slots.taken() as slot:
        if slot is None:
            # More threads than slots, by somebody's `-c`: nothing is claimed that could not be started.
            context.ledger.unheard([message])
            return "no slot"
        return _run_in(context, slot, message)


def _run_in(context: WorkerContext, slot: Slot, message: JobMessage) -> str:
    settings = context.settings
    lease = context.ledger.claim_next(
        message,
        worker_id=context.worker_id,
        lease_s=settings.lease_s,
        sandbox=context.confinement.name,
        most_running=settings.tenant_running,
    )
    if lease is None:
        return "not due"
    with bound(job_id=lease.job.id, attempt=lease.attempt):
        outcome = context.supervisor(slot).run(lease)
    context.prepare(slot)
    _log.info("%s attempt %d: %s", lease.job.id, lease.attempt, outcome)
    return outcome
