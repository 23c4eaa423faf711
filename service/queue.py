"""Tells the workers that a job is due, by the task's name: the service knows nothing else of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from celery import Celery, group
from kombu.exceptions import OperationalError

from api_schemas.queue import RUN_JOB_TASK, JobMessage
from storage import Settings

_log = logging.getLogger(__name__)


class Queue:
    """The sender's end of the broker."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.broker_folder if settings.broker_url.startswith("filesystem") else None
        self._celery = Celery("sterna-service", set_as_current=False)
        self._celery.conf.update(settings.queue_options())
        # Whoever submits waits for the answer: a broker that is down is tried once more and then left to the outbox.
        self._celery.conf.broker_transport_options |= {"max_retries": 1, "interval_start": 0}

    def send(self, message: JobMessage) -> bool:
        """Sends a message, once. A failure does no harm: the row stays queued, and the outbox sends it again.

        Returns:
            Whether the broker took it.
        """
        try:
            self._celery.send_task(RUN_JOB_TASK, kwargs=message.model_dump(), task_id=message.key, retry=False)
        except (OperationalError, OSError) as error:
            _log.warning("message of %s not sent, the outbox will repeat it: %s", message.job_id, error)
            return False
        return True

    def send_all(self, messages: Sequence[JobMessage]) -> bool:
        """Sends the messages of jobs that were made together, as one group over one connection.

        Nobody waits for the group: the ledger knows how its jobs stand, and the outbox repeats what did not go out.

        Returns:
            Whether the broker took them all.
        """
        run_job = self._celery.signature(RUN_JOB_TASK)
        together = group(
            (run_job.clone(kwargs=message.model_dump()).set(task_id=message.key) for message in messages),
            app=self._celery,
        )
        try:
            together.apply_async(retry=False)
        except (OperationalError, OSError) as error:
            _log.warning("messages of %d jobs not all sent, the outbox will repeat them: %s", len(messages), error)
            return False
        return True

    def ping(self) -> None:
        """Asks the broker for the least that it can answer.

        Raises:
            OperationalError: it does not answer.
            FileNotFoundError: the folder of an embedded broker is gone.
        """
        if self._folder is not None:
            if not self._folder.is_dir():
                raise FileNotFoundError(self._folder)
            return
        with self._celery.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=3)

    def close(self) -> None:
        """Lets go of the broker."""
        self._celery.close()
