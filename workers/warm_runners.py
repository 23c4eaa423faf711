"""Runners started ahead of their jobs, one for each idle slot: torch takes seconds to load, and nobody waits for it.

    work/warm-1f…/out  tmp  runner.log      ──the job's──►     work/job_…-1/spec.json  model  out  tmp  runner.log

A warm runner is started as any other is, within the same walls and limits, in a folder that its job will get: the files
are put into it, it takes the job's name, and the runner is told to start. It is used once. Until then it waits for a
word on its standard input and holds no lease, no lock and nobody's data. One that has died is not missed: its job
starts cold.

bubblewrap ends with the thread that started it (`--die-with-parent`), so they are started by threads that live as long
as the worker: its main thread and those of Celery's pool.
"""

from __future__ import annotations

import logging
import math
import os
import shutil
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sterna.errors import RunnerCrashed
from workers.cgroup import memory_left, own_groups
from workers.child import Child
from workers.launcher import Launcher
from workers.slots import Slot

SPARE_BYTES: Final = 2**30
"""Where less memory than this is available no runner is started ahead: each holds about a quarter of it."""
_MEMORY: Final = Path("/proc/meminfo")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WarmRunner:
    """A runner that waits, and its folder."""

    child: Child
    folder: Path

    def end(self) -> None:
        """End it unused."""
        self.child.__exit__(None, None, None)
        shutil.rmtree(self.folder, ignore_errors=True)


class WarmRunners:
    """At most one for each slot. Whoever holds the slot may take and prepare its runner.

    Args:
        launcher: how they are started.
        work_root: where their folders lie, beside those of the jobs.
        wanted: whether there are any at all.
    """

    def __init__(self, launcher: Launcher, work_root: Path, *, wanted: bool = True) -> None:
        self._launcher, self._work_root, self._wanted = launcher, work_root, wanted
        self._waiting: dict[str, WarmRunner] = {}
        self._mutex = threading.Lock()

    def prepare(self, slot: Slot) -> None:
        """Start a runner ahead for a slot that has none; returns at once. Without enough memory there is none."""
        with self._mutex:
            if not self._wanted or slot.name in self._waiting or available_memory() < SPARE_BYTES:
                return
            folder = self._work_root / f"warm-{uuid.uuid4().hex}"
            try:
                for name in ("out", "tmp"):
                    (folder / name).mkdir(parents=True, mode=0o700)
                self._waiting[slot.name] = WarmRunner(self._launcher.start(folder, slot, waits=True), folder)
            except (OSError, RunnerCrashed) as error:
                _log.warning("no runner was started ahead: %s", error)
                shutil.rmtree(folder, ignore_errors=True)

    def take(self, slot: Slot) -> WarmRunner | None:
        """The runner of a slot, for its next job; None where there is none that lives."""
        with self._mutex:
            warm = self._waiting.pop(slot.name, None)
        if warm is not None and warm.child.exited():
            _log.warning("a runner that was started ahead has ended: its job starts cold")
            warm.end()
            return None
        return warm

    def keep(self) -> None:
        """Say that their folders are in use, whatever their age."""
        with self._mutex:
            for warm in self._waiting.values():
                os.utime(warm.folder)

    def close(self) -> None:
        """End all, and start none any more."""
        with self._mutex:
            self._wanted = False
            waiting, self._waiting = self._waiting, {}
        for warm in waiting.values():
            warm.end()


def available_memory(file: Path = _MEMORY, groups: tuple[Path, ...] | None = None) -> float:
    """Bytes that new processes of this container can have without swapping; infinite where the kernel does not say.

    Args:
        file: the machine's figures.
        groups: the control groups that hold this process; None: they are looked for.
    """
    left = memory_left(own_groups() if groups is None else groups)
    found = [math.inf if left is None else float(left)]
    try:
        lines = file.read_text().splitlines()
    except OSError:
        lines = []
    found += [float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return min(found)
