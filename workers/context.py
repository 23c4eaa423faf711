"""What one worker process holds: its name, its settings, the ledger and the blob store, opened when first needed."""

from __future__ import annotations

import os
import socket
import threading
import uuid
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from sterna.threads import usable_cores
from storage import BlobStore, Ledger, Settings
from storage.opening import check_broker, open_blobs, open_ledger
from storage.settings import read_settings
from workers.checkpoints import CheckpointRules
from workers.confinement import RUNNER_COMMAND, Confinement, LimitsAlone, SandboxSettings, choose_confinement
from workers.launcher import Launcher
from workers.limits import RunnerLimits
from workers.slots import Slot, SlotPool, SlotSettings, open_slots
from workers.supervisor import Supervisor
from workers.warm_runners import WarmRunners

WORK = "work"


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """One worker process.

    Attributes:
        worker_id: its name in leases and heartbeats, never used twice.
        confinement: what holds its runners.
        slots: what it may run at a time.
        limits: what each job may use.
        warm: runners started ahead; None: every job starts cold.
        stopping: set once the process was asked to shut down.
    """

    settings: Settings
    ledger: Ledger
    blobs: BlobStore
    worker_id: str
    confinement: Confinement = field(default_factory=LimitsAlone)
    slots: SlotPool = field(default_factory=lambda: SlotPool((Slot("cpu-0", usable_cores()),)))
    limits: RunnerLimits = field(default_factory=RunnerLimits)
    warm: WarmRunners | None = None
    stopping: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def open(cls, settings: Settings) -> WorkerContext:
        """Take slots, find what is to hold runners, and open the ledger and the blob store that the settings name.

        Raises:
            GpuUnavailable: the slots that are asked for cannot be had.
            SandboxUnavailable: a sandbox is required and none works.
            SetupError: a setting cannot be used, or nobody answers at an address.
        """
        check_broker(settings)
        ledger, blobs = open_ledger(settings), open_blobs(settings)
        data_dir = settings.data_dir
        wish, walls_wish, limits = (
            read_settings(SlotSettings),
            read_settings(SandboxSettings),
            read_settings(RunnerLimits),
        )
        slots = open_slots(wish)
        devices = sorted({device for slot in slots.slots for device in slot.devices()})
        walls = choose_confinement(walls_wish, data_dir=data_dir, work_root=data_dir / WORK, devices=devices)
        worker_id = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        limits = limits.shared_by(len(slots))
        launcher = Launcher(walls, limits, RUNNER_COMMAND, _rules(settings).runner_arguments())
        warm = WarmRunners(launcher, data_dir / WORK) if wish.warm_runners else None
        return cls(settings, ledger, blobs, worker_id, walls, slots, limits, warm)

    @property
    def work_root(self) -> Path:
        """Where each attempt gets its folder."""
        return self.settings.data_dir / WORK

    def prepare(self, slot: Slot) -> None:
        """Start a runner ahead for the next job of a slot."""
        if self.warm is not None and not self.stopping.is_set():
            self.warm.prepare(slot)

    def supervisor(self, slot: Slot) -> Supervisor:
        """The supervisor of one job in a slot."""
        return Supervisor(
            ledger=self.ledger,
            blobs=self.blobs,
            work_root=self.work_root,
            lease_s=self.settings.lease_s,
            limits=self.limits,
            confinement=self.confinement,
            slot=slot,
            warm=None if self.warm is None else self.warm.take(slot),
            checkpoints=_rules(self.settings),
            stopping=self.stopping,
        )


def _rules(settings: Settings) -> CheckpointRules:
    return CheckpointRules(settings.checkpoint_s, settings.checkpoint_bytes, settings.checkpoint_grace_s)


@cache
def worker_context() -> WorkerContext:
    """The context of this process, from the environment."""
    return WorkerContext.open(read_settings(Settings))
