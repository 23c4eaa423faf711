"""What one worker process holds: its name, its settings, the ledger and the blob store, opened when first needed."""

from __future__ import annotations

import os
import socket
import threading
import uuid
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from storage import BlobStore, Ledger, Settings
from workers.confinement import Confinement, LimitsAlone, SandboxSettings, choose_confinement
from workers.supervisor import Supervisor

WORK = "work"


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """One worker process.

    Attributes:
        worker_id: its name in leases and heartbeats, never used twice.
        confinement: what holds its runners.
        stopping: set once the process was asked to shut down.
    """

    settings: Settings
    ledger: Ledger
    blobs: BlobStore
    worker_id: str
    confinement: Confinement = field(default_factory=LimitsAlone)
    stopping: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def open(cls, settings: Settings) -> WorkerContext:
        """Find what is to hold runners, and open the ledger and the blob store that the settings name.

        Raises:
            SandboxUnavailable: a sandbox is required and none works.
        """
        data_dir = settings.data_dir
        walls = choose_confinement(SandboxSettings(), data_dir=data_dir, work_root=data_dir / WORK)
        worker_id = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        ledger, blobs = Ledger.open(settings.database_url), BlobStore.open(settings.storage_url)
        return cls(settings, ledger, blobs, worker_id, walls)

    @property
    def work_root(self) -> Path:
        """Where each attempt gets its folder."""
        return self.settings.data_dir / WORK

    def supervisor(self) -> Supervisor:
        """The supervisor of one job."""
        return Supervisor(
            ledger=self.ledger,
            blobs=self.blobs,
            work_root=self.work_root,
            lease_s=self.settings.lease_s,
            confinement=self.confinement,
            stopping=self.stopping,
        )


@cache
def worker_context() -> WorkerContext:
    """The context of this process, from the environment."""
    return WorkerContext.open(Settings().prepared())
