"""Disturbances, each a function with a name, and the schedule in which a seed lets them loose."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import psutil
from celery import Celery
from sqlalchemy import Row, select
from sqlalchemy.exc import SQLAlchemyError

from api_schemas.queue import RUN_JOB_TASK
from storage.schema import JOBS
from tests.chaos.installation import LEASE_S, Installation
from tests.chaos.processes import Worker

CLOCK_OFF_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Orphaned:
    """A job whose worker was killed.

    Attributes:
        attempt: the one that was lost.
        step: the newest that the ledger knew of.
        killed_us: when, in microseconds since 1970.
    """

    job_id: str
    attempt: int
    step: int
    killed_us: int


@dataclass
class Diary:
    """What was done to the installation.

    Attributes:
        done: disturbances, in order.
        killed_runners: `JOB-ATTEMPT` of each runner that was killed alone.
        orphaned: jobs that killed workers had.
    """

    done: list[str] = field(default_factory=list)
    killed_runners: list[str] = field(default_factory=list)
    orphaned: list[Orphaned] = field(default_factory=list)


@dataclass
class Storm:
    """Hurts an installation, one disturbance after another."""

    installation: Installation
    random: Random
    diary: Diary = field(default_factory=Diary)

    def strike(self, name: str) -> None:
        """One disturbance, over when everything that it killed was started again."""
        self.diary.done.append(name)
        DISTURBANCES[name](self)
        self.installation.tend()

    def pause(self, least_s: float, most_s: float) -> None:
        """Wait for as long as the seed says."""
        time.sleep(self.random.uniform(least_s, most_s))

    def worker(self) -> Worker:
        """One of the workers."""
        return self.random.choice(self.installation.workers)

    def orphan(self, worker: Worker, *, host: bool) -> None:
        """Kill a worker, with all that it started where its host is lost, and note which jobs it had."""
        jobs = jobs_of(self.installation, worker)
        if host:
            killed_us = worker.kill_all()
        else:
            killed_us = time.time_ns() // 1000
            worker.kill()
        self.diary.orphaned += [Orphaned(row.id, row.attempt, row.step, killed_us) for row in jobs]


def jobs_of(installation: Installation, worker: Worker) -> list[Row[Any]]:
    """The jobs that a worker has, by the name that it gave itself."""
    running = select(JOBS.c.id, JOBS.c.attempt, JOBS.c.step, JOBS.c.worker_id).where(JOBS.c.state == "running")
    with installation.ledger.read() as connection:
        rows = connection.execute(running).all()
    return [row for row in rows if row.worker_id.rsplit("-", 2)[1] == str(worker.pid)]


def kill_runner(storm: Storm) -> None:
    """Signal 9 to the process of a job, or to one that waits for a job."""
    workers = list(storm.installation.workers)
    storm.random.shuffle(workers)
    for worker in workers:
        for process, folder in worker.runners():
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
            storm.diary.killed_runners.append(folder)
            return


def kill_worker(storm: Storm) -> None:
    """Signal 9 to a worker; its runner notices by itself. Another starts at once."""
    worker = storm.worker()
    storm.orphan(worker, host=False)
    storm.installation.replace(worker)


def kill_host(storm: Storm) -> None:
    """Signal 9 to a worker and all its runners. Another starts after a while."""
    worker = storm.worker()
    storm.orphan(worker, host=True)
    storm.pause(0, 4)
    storm.installation.replace(worker)


def freeze_host(storm: Storm) -> None:
    """A worker and its runners stand still for longer than their lease, and go on as if nothing had been."""
    worker = storm.worker()
    worker.freeze_all()
    storm.pause(LEASE_S + 2, LEASE_S + 5)
    worker.thaw_all()


def freeze_worker(storm: Storm) -> None:
    """A worker stands still for longer than its lease while its runners go on, perhaps to their end."""
    worker = storm.worker()
    worker.freeze()
    storm.pause(LEASE_S + 2, LEASE_S + 5)
    worker.thaw()


def wrong_clock(storm: Storm) -> None:
    """A worker is killed and comes back with a clock that is an hour off."""
    worker = storm.worker()
    storm.orphan(worker, host=True)
    storm.installation.replace(worker, "--clock-off-s", str(storm.random.choice((-1, 1)) * CLOCK_OFF_S))


def kill_service(storm: Storm) -> None:
    """Signal 9 to the service, which starts again after a moment."""
    storm.installation.service.kill()
    storm.pause(0, 2)
    storm.installation.service.start()


def kill_postgres(storm: Storm) -> None:
    """Signal 9 to PostgreSQL, which starts again after a moment."""
    storm.installation.postgres.kill()
    storm.pause(0, 3)
    storm.installation.postgres.start()


def stop_postgres(storm: Storm) -> None:
    """PostgreSQL is stopped for about as long as a lease."""
    storm.installation.postgres.stop()
    storm.pause(LEASE_S - 2, LEASE_S + 2)
    storm.installation.postgres.start()


def kill_valkey(storm: Storm) -> None:
    """Signal 9 to the broker, which starts again after a moment."""
    storm.installation.valkey.kill()
    storm.pause(0, 3)
    storm.installation.valkey.start()


def flush_valkey(storm: Storm) -> None:
    """The broker forgets everything."""
    storm.installation.valkey.clear()


def kill_s3(storm: Storm) -> None:
    """Signal 9 to the store. It takes its time to come back."""
    storm.installation.s3.restart()


def freeze_s3(storm: Storm) -> None:
    """The store takes connections for some seconds and answers none."""
    storm.installation.s3.freeze()
    storm.pause(3, 6)
    storm.installation.s3.thaw()


def send_copies(storm: Storm) -> None:
    """Messages of jobs in every state come again three times, those of earlier attempts too, in any order."""
    settings = storm.installation.settings
    with storm.installation.ledger.read() as connection:
        rows = connection.execute(select(JOBS.c.id, JOBS.c.attempt)).all()
    chosen = storm.random.sample(list(rows), min(len(rows), 15))
    messages = [{"job_id": row.id, "attempt": n} for row in chosen for n in range(1, row.attempt + 2) for _ in range(3)]
    storm.random.shuffle(messages)
    with Celery("copies", set_as_current=False) as sender:
        sender.conf.update(settings.queue_options())
        for message in messages:
            sender.send_task(RUN_JOB_TASK, kwargs=message)


DISTURBANCES: Final[dict[str, Callable[[Storm], None]]] = {
    function.__name__.replace("_", " "): function
    for function in (
        kill_runner, kill_worker, kill_host, freeze_host, freeze_worker, wrong_clock, kill_service,
        kill_postgres, stop_postgres, kill_valkey, flush_valkey, kill_s3, freeze_s3, send_copies,
    )
}  # fmt: skip


def schedule(random: Random, count: int) -> list[str]:
    """So many disturbances, each kind as often as any other but for one, in an order that the seed decides."""
    names: list[str] = []
    while len(names) < count:
        some = list(DISTURBANCES)
        random.shuffle(some)
        names += some
    return names[:count]


def final_jobs(installation: Installation) -> int | None:
    """How many jobs have ended; None while the database is away."""
    try:
        with installation.ledger.read() as connection:
            states = connection.execute(select(JOBS.c.state)).scalars().all()
    except SQLAlchemyError:
        return None
    return sum(state in {"succeeded", "failed", "cancelled"} for state in states)
