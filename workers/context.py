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
from workers.supervisor import Supervisor


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """One worker process.

    Attributes:
        worker_id: its name in leases and heartbeats, never used twice.
        stopping: set once the process was asked to shut down.
    """

    settings: Settings
    ledger: Ledger
    blobs: BlobStore
    worker_id: str
    stopping: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def open(cls, settings: Settings) -> WorkerContext:
        """Open the ledger and the blob store that the settings name."""
        worker_id = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        return cls(settings, Ledger.open(settings.database_url), BlobStore.open(settings.storage_url), worker_id)

    @property
    def work_root(self) -> Path:
        """Where each attempt gets its folder."""
        return self.settings.data_dir / "work"

    def supervisor(self) -> Supervisor:
        """The supervisor of one job."""
        return Supervisor(
            ledger=self.ledger,
            blobs=self.blobs,
            work_root=self.work_root,
            lease_s=self.settings.lease_s,
            stopping=self.stopping,
        )


@cache
def worker_context() -> WorkerContext:
    """The context of this process, from the environment."""
    return WorkerContext.open(Settings().prepared())
