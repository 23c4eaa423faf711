"""An installation at scale on one machine: PostgreSQL, Valkey, S3, a service and workers, each a process of its own."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from unittest.mock import patch

from storage import BlobStore, Ledger, Settings
from storage.database import upgrade_database
from tests.chaos.processes import PythonProcess, Service, Worker
from tests.servers.postgres import RealPostgres
from tests.servers.s3 import RealS3
from tests.servers.valkey import RealValkey

LEASE_S = 5.0
CHECKPOINT_S = 2.0


@dataclass(frozen=True, slots=True)
class Servers:
    """What an installation stands on."""

    postgres: RealPostgres
    valkey: RealValkey
    s3: RealS3

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[Servers]:
        """All three, for the length of the block."""
        with RealPostgres() as postgres, RealValkey() as valkey, RealS3() as s3:
            yield cls(postgres, valkey, s3)


class Installation:
    """Service and workers run from the beginning of a `with` block to its end, with a database of their own.

    Args:
        servers: that run already; they are left running.
        workers: how many.
        options: of `tests.chaos.worker`, for each of them.
        environment: settings that are to be others.

    Attributes:
        settings: as service and workers have them, but for the folder.
        workers: at their places; a place is emptied by a kill and filled again by `tend`.
        found_dead: how often a process had ended by itself.
    """

    def __init__(self, servers: Servers, *, workers: int, options: tuple[str, ...] = (), **environment: str) -> None:
        self.postgres, self.valkey, self.s3 = servers.postgres, servers.valkey, servers.s3
        self._name = f"chaos_{uuid.uuid4().hex}"
        self.found_dead: dict[str, int] = {}
        self._count, self._options, self._extra = workers, options, environment
        self._started = 0
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.valkey.clear()
            self.postgres.sql(f"CREATE DATABASE {self._name}")
            upgrade_database(self.postgres.url(self._name))
            self._environment = self._describe()
            # For this process's own client of the store, and only as long as there is one.
            stack.enter_context(patch.dict(os.environ, self.s3.environment()))
            named = {name.removeprefix("STERNA_").lower(): value for name, value in self._environment.items()}
            self.settings = Settings.model_validate({**named, "data_dir": self.postgres.folder})
            self.ledger = Ledger.open(self.settings.database_url)
            stack.callback(self.ledger.close)
            self.blobs = BlobStore.open(self.settings.storage_url)
            self.service = stack.enter_context(Service(self._environment))
            self.workers: list[Worker] = []
            stack.callback(self._close_workers)
            for _ in range(self._count):
                self.workers.append(self.new_worker(*self._options))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def new_worker(self, *options: str) -> Worker:
        """Start one more worker; it belongs to nobody yet."""
        self._started += 1
        worker = Worker(f"worker{self._started}", self._environment, *options)
        worker.__enter__()
        return worker

    def replace(self, worker: Worker, *options: str) -> None:
        """Put a new worker in the place of one that was killed, with these options besides."""
        worker.close()
        self.workers[self.workers.index(worker)] = self.new_worker(*self._options, *options)

    def tend(self) -> None:
        """Start again what has ended by itself, as an orchestrator would."""
        if not self.service.runs:
            self._count_dead("service", self.service)
            self.service.kill()
            self.service.start()
        for worker in tuple(self.workers):
            if not worker.runs:
                self._count_dead("worker", worker)
                self.replace(worker)

    def logs(self) -> str:
        """The end of what each process wrote."""
        processes = (self.service, *self.workers)
        return "\n".join(f"--- {one.folder.name}\n{one.log_tail()}" for one in processes)

    def _count_dead(self, what: str, process: PythonProcess) -> None:
        self.found_dead[what] = self.found_dead.get(what, 0) + 1
        sys.stderr.write(f"a {what} had ended by itself; its last words:\n{process.log_tail()[-1000:]}\n")

    def _close_workers(self) -> None:
        for worker in self.workers:
            worker.kill_all()
            worker.close()

    def _describe(self) -> dict[str, str]:
        addresses = {
            "STERNA_BROKER_URL": self.valkey.url(),
            "STERNA_DATABASE_URL": self.postgres.url(self._name),
            "STERNA_STORAGE_URL": f"s3://{self.s3.bucket}/{self._name}",
        }
        short = {
            "STERNA_LEASE_S": str(LEASE_S),
            "STERNA_BEAT_S": "1",
            "STERNA_RESEND_AFTER_S": "2",
            "STERNA_MAX_ATTEMPTS": "1000",
            "STERNA_CHECKPOINT_S": str(CHECKPOINT_S),
            "STERNA_BLOB_GRACE_S": "60",
        }
        small = {
            "STERNA_RUNNERS": "1",
            "STERNA_GPUS": "none",
            "STERNA_SANDBOX": "off",
            "STERNA_WARM_RUNNERS": "0",
            "OMP_NUM_THREADS": "1",
        }
        return addresses | short | small | self.s3.environment() | self._extra
