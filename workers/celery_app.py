"""The Celery application: `python -m workers`, or `python -m celery -A workers.celery_app worker`.

A thread of the pool supervises one child process, so threads are enough: the work happens in the children. There are
as many threads as slots (`workers.slots`), which is said here and nowhere else.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from celery import Celery, signals

from api_schemas import JobMessage
from api_schemas.queue import RUN_JOB_TASK
from sterna.errors import GpuUnavailable, SandboxUnavailable, SetupError
from sterna.hardening import hide_process
from sterna.json_logs import log_as_json
from storage import Settings
from storage.settings import read_settings
from workers import tasks
from workers.context import worker_context
from workers.upkeep import Upkeep

_log = logging.getLogger(__name__)


def create_app(settings: Settings) -> Celery:
    """Build the application for the broker that the settings name."""
    celery = Celery("sterna")
    celery.conf.update(
        **settings.queue_options(),
        # Acknowledged before the work begins, so Redis's `visibility_timeout` brings no message back; the outbox does.
        task_acks_late=False,
        worker_pool="threads",
        worker_prefetch_multiplier=1,
        # A message is fetched when a thread is free to run it: one that a busy worker holds is one that an idle worker
        # does not get. Celery can do so with Redis alone; with folders a held-back message is sent again.
        worker_disable_prefetch=settings.broker_url.startswith(("redis", "sentinel")),
        worker_send_task_events=False,
        worker_enable_remote_control=False,
    )
    celery.task(name=RUN_JOB_TASK)(run_job)
    celery.steps["worker"].add(Upkeep)
    return celery


def run_job(job_id: str, attempt: int) -> None:
    """Run one attempt of one job. Anything but a string and a number is refused before it reaches the ledger."""
    tasks.run_job(worker_context(), JobMessage(job_id=job_id, attempt=attempt))


@signals.setup_logging.connect  # type: ignore[untyped-decorator]  # celery has no types
def set_up_logging(loglevel: int | None = None, **_: Any) -> None:  # noqa: ANN401  celery's signature
    """Log as the service does, in place of Celery's own way."""
    log_as_json(level=loglevel or logging.WARNING)


@signals.celeryd_init.connect  # type: ignore[untyped-decorator]  # celery has no types
def open_context(conf: Any, **_: Any) -> None:  # noqa: ANN401  celery's signature
    """Take the slots, make the folders and open ledger and blobs before the worker listens.

    A wrong address ends it at once. The keys of both are in this process's environment, and runners may be of the same
    user: it is hidden from them. This is the one signal that comes before Celery decides on the number of threads.
    """
    hide_process()
    log_as_json(level=logging.WARNING)  # Celery sets its logging up a moment later
    try:
        context = worker_context()
    except (SandboxUnavailable, GpuUnavailable, SetupError) as error:
        # Celery goes on after an exception of a handler, but not after this.
        sys.stderr.write(f"the worker does not start: error[{error.code}]: {error.detail}\nhint: {error.hint}\n")
        raise SystemExit(error.exit_code) from None
    conf.worker_concurrency = len(context.slots)


@signals.worker_ready.connect  # type: ignore[untyped-decorator]  # celery has no types
def tell_what_there_is(**_: Any) -> None:  # noqa: ANN401  celery's signature
    """Say once what jobs will run in."""
    context = worker_context()
    slots = ", ".join(f"{slot.name} ({slot.threads} threads)" for slot in context.slots.slots)
    _log.info("sandbox of jobs: %s; slots: %s", context.confinement.name, slots)


@signals.worker_shutting_down.connect  # type: ignore[untyped-decorator]  # celery has no types
def stop_children(**_: Any) -> None:  # noqa: ANN401  celery's signature
    """Tell every supervisor of this process to end its child and release its lease. Runs inside a signal handler."""
    worker_context().stopping.set()


# Read at import because `celery -A` wants a finished application in the module. Nothing is made or opened yet.
app = create_app(read_settings(Settings))
