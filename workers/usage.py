"""What a running job uses, looked at from outside: memory and processes of the whole tree, bytes and files on the disk.

The limits that a runner sets on itself hold for each process alone. What many processes use together, and what they
leave on the disk, the supervisor counts, about twice a second; between two looks a job may be above its limits.
A process that has left the tree, as a daemon does, is counted only inside bubblewrap, where none can leave.
"""

from __future__ import annotations

import os
import stat
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sterna.errors import DiskLimit, OutOfMemory, RunnerCrashed
from workers.limits import RunnerLimits

LOOK_EVERY_S: Final = 0.5
_PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tree of processes uses: threads of all of them, and memory that is theirs alone or shared among them."""

    tasks: int = 0
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class DiskUse:
    """What lies in a folder."""

    size_bytes: int = 0
    files: int = 0


class UsageWatch:
    """Looks at one job again and again.

    Args:
        pid: root of its processes.
        folder: where it works; what lies there already is not counted.
        limits: what it may use.
    """

    def __init__(self, pid: int, folder: Path, limits: RunnerLimits) -> None:
        self._pid = pid
        self._folder = folder
        self._limits = limits
        self._given = disk_use(folder, most_files=limits.files).size_bytes
        self._next_look = 0.0

    def check(self) -> None:
        """Look, if it is time to.

        Raises:
            OutOfMemory, RunnerCrashed, DiskLimit: the job is above a limit.
        """
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_EVERY_S
        self._check_processes(usage_of_tree(self._pid))
        self._check_disk(disk_use(self._folder, most_files=self._limits.files))

    def _check_processes(self, usage: Usage) -> None:
        if usage.memory_bytes > self._limits.memory_bytes:
            raise OutOfMemory(
                f"the runner's processes used {usage.memory_bytes} bytes of memory; {self._limits.memory_bytes} are"
                " allowed",
                hint="Use a worker with more memory, or a smaller model or less data.",
            )
        if usage.tasks > self._limits.processes:
            raise RunnerCrashed(
                f"the runner had {usage.tasks} processes and threads; {self._limits.processes} are allowed",
                hint="Sterna itself starts none; an operator can raise STERNA_RUNNER_PROCESSES.",
            )

    def _check_disk(self, use: DiskUse) -> None:
        if use.size_bytes - self._given > self._limits.disk_bytes or use.files > self._limits.files:
            raise DiskLimit(
                f"the job wrote more than the {self._limits.disk_bytes} bytes or {self._limits.files} files that one"
                " may have",
                hint="Ask for fewer exports, or send data that is not compressed.",
            )


def usage_of_tree(root: int) -> Usage:
    """Add up a process and all that descend from it; nothing where there is no `/proc` or no such process."""
    children = defaultdict(list)
    for pid, parent in _parents():
        children[parent].append(pid)
    tasks = memory_bytes = 0
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, ())
        one = _usage_of(pid)
        tasks += one.tasks
        memory_bytes += one.memory_bytes
    return Usage(tasks, memory_bytes)


def disk_use(folder: Path, *, most_files: int) -> DiskUse:
    """Add up what lies in a folder, links not followed; it stops counting above `most_files`."""
    size_bytes = files = 0
    waiting = [folder]
    while waiting and files <= most_files:
        for entry in _entries(waiting.pop()):
            files += 1
            try:
                status = entry.lstat()
            except OSError:
                continue  # gone meanwhile
            size_bytes += status.st_blocks * 512
            if stat.S_ISDIR(status.st_mode):
                waiting.append(entry)
            if files > most_files:
                break
    return DiskUse(size_bytes, files)


def _entries(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                yield Path(entry.path)
    except OSError:
        return  # gone, or closed to us: what cannot be listed holds what was counted before


def _parents() -> Iterator[tuple[int, int]]:
    """Every process of the machine and its parent."""
    for entry in _entries(_PROC):
        if entry.name.isdigit():
            # The name of the program, in parentheses, may itself hold parentheses and spaces.
            _, _, rest = _read(entry / "stat").rpartition(")")
            fields = rest.split()
            if len(fields) > 1:
                yield int(entry.name), int(fields[1])


def _usage_of(pid: int) -> Usage:
    fields = dict(line.split(":", 1) for line in _read(_PROC / str(pid) / "status").splitlines() if ":" in line)
    kib = sum(int(fields.get(name, "0").split()[0]) for name in ("RssAnon", "RssShmem"))
    return Usage(int(fields.get("Threads", "0")), kib * 1024)


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""  # it ended meanwhile
