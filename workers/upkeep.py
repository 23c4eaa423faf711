"""What every worker does between jobs, on Celery's own timer: says that it lives, and keeps the ledger moving.

SQL is the truth and the queue may lose anything, so each worker also re-queues jobs whose lease ran out and sends the
messages of jobs that wait unclaimed. It makes the next round of trials of sweeps, tells webhooks what they are to be
told, deletes what is kept no longer, and once an hour what killed processes left. All of it is safe to do from many
workers at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from celery import Celery, bootsteps, group
from kombu.exceptions import OperationalError as BrokerError

from api_schemas import JobMessage
from api_schemas.queue import RUN_JOB_TASK
from workers.context import WorkerContext, worker_context
from workers.courier import Courier
from workers.sweep import sweep

Send = Callable[[JobMessage], None]
SendTogether = Callable[[Sequence[JobMessage]], None]
RESEND_LIMIT: Final = 100
SWEEP_EVERY_S: Final = 3600.0
EXPIRE_EVERY_S: Final = 60.0
DELIVER_EVERY_S: Final = 1.0
PLAN_EVERY_S: Final = 1.0

_log = logging.getLogger(__name__)


def beat(context: WorkerContext, *, capacity: int) -> None:
    """Say that this worker lives and how many jobs it takes at once."""
    context.ledger.beat(context.worker_id, capacity=capacity, sandbox=context.confinement.name)


def reap(context: WorkerContext) -> None:
    """Give jobs whose worker was lost another attempt, or fail them after the last."""
    reaped = context.ledger.reap(max_attempts=context.settings.max_attempts)
    if reaped:
        _log.warning("%d jobs had lost their worker", reaped)


def doubt_messages(context: WorkerContext) -> None:
    """Announce the oldest waiting jobs again: a worker that was killed took what it had fetched with it.

    Done at each worker's start. Copies do no harm, and a broker of folders keeps one of each.
    """
    context.ledger.doubt(limit=RESEND_LIMIT)


def send_due(context: WorkerContext, send: Send) -> None:
    """Send messages for jobs that wait and whose last message is old, lost or was never sent."""
    settings = context.settings
    due = context.ledger.due(
        older_than_s=settings.resend_after_s, limit=RESEND_LIMIT, most_running=settings.tenant_running
    )
    for i, message in enumerate(due):
        try:
            send(message)
        except (BrokerError, OSError) as error:
            _log.warning("could not send the message of %s: %s", message.job_id, error)
            context.ledger.unheard(due[i:])
            return


def plan_rounds(context: WorkerContext, send_together: SendTogether) -> None:
    """Make the next round of trials of sweeps whose jobs have ended, and send each round as one group."""
    for messages in context.ledger.plan_rounds(most_queued=context.settings.tenant_queued):
        try:
            send_together(messages)
        except (BrokerError, OSError) as error:
            _log.warning("could not send the messages of %d trials: %s", len(messages), error)
            context.ledger.unheard(messages)


def send_group(app: Celery, messages: Sequence[JobMessage]) -> None:
    """Send the messages of jobs that were made together as one group; the ledger knows how they stand."""
    run_job = app.signature(RUN_JOB_TASK)
    calls = (run_job.clone(kwargs=message.model_dump()).set(task_id=message.key) for message in messages)
    group(calls, app=app).apply_async(retry=False)


def expire(context: WorkerContext) -> None:
    """Delete jobs, uploads and keys of requests that are kept no longer, and content that nothing refers to."""
    settings, ledger = context.settings, context.ledger
    if settings.keep_jobs_s is not None:
        expired = ledger.delete_expired(older_than_s=settings.keep_jobs_s)
        if expired:
            _log.info("deleted %d jobs that ended more than %g s ago", expired, settings.keep_jobs_s)
    ledger.delete_unused_uploads(older_than_s=settings.sweep_after_s)
    ledger.forget_turns(older_than_s=settings.idempotency_s)
    ledger.forget_deliveries(older_than_s=settings.keep_deliveries_s)
    ledger.forget_workers(older_than_s=settings.sweep_after_s)
    removed = ledger.collect(context.blobs, grace_s=settings.blob_grace_s)
    if removed:
        _log.info("removed %d blobs that nothing refers to", removed)


class Upkeep(bootsteps.StartStopStep):  # type: ignore[misc]  # celery has no types
    """Puts the chores above on the worker's timer."""

    requires = frozenset({"celery.worker.components:Timer", "celery.worker.components:Pool"})

    def __init__(self, parent: Any, **options: Any) -> None:  # noqa: ANN401  celery has no types
        super().__init__(parent, **options)
        self._entries: list[Any] = []
        self._courier: Courier | None = None

    def start(self, parent: Any) -> None:  # noqa: ANN401  celery has no types
        """Begin at once and repeat; an error of the ledger is logged by the timer, which goes on."""

        def send(message: JobMessage) -> None:
            parent.app.send_task(RUN_JOB_TASK, kwargs=message.model_dump(), task_id=message.key)

        context = worker_context()
        interval_s = min(context.settings.beat_s, context.settings.lease_s / 2)
        courier = self._courier = Courier(context)
        chores: tuple[tuple[float, Callable[[], None]], ...] = (
            (interval_s, lambda: beat(context, capacity=parent.concurrency)),
            (interval_s, lambda: reap(context)),
            (interval_s, lambda: send_due(context, send)),
            (PLAN_EVERY_S, lambda: plan_rounds(context, partial(send_group, parent.app))),
            (DELIVER_EVERY_S, courier.look),
            (EXPIRE_EVERY_S, lambda: expire(context)),
            (SWEEP_EVERY_S, lambda: sweep(context)),
        )
        for slot in context.slots.slots:
            context.prepare(slot)
        parent.timer.call_after(0, lambda: doubt_messages(context))
        for every_s, chore in chores:
            parent.timer.call_after(0, chore)
            self._entries.append(parent.timer.call_repeatedly(every_s, chore))

    def stop(self, parent: Any) -> None:  # noqa: ANN401, ARG002  celery's signature
        """End the chores."""
        for entry in self._entries:
            entry.cancel()
        self._entries.clear()
        if self._courier is not None:
            self._courier.close()
        warm = worker_context().warm
        if warm is not None:
            warm.close()

    terminate = stop
