"""What one job may use: the limits that the supervisor watches, and those that the runner sets on itself."""

from __future__ import annotations

import os
from typing import Self

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from workers.cgroup import memory_limit, own_groups

GIB = 2**30
DAY_S = 86_400.0


def _most_of_the_memory() -> int:
    """Nine tenths of the memory of the machine, or of the container, so that a runaway job fails alone."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(machine, memory_limit(own_groups()) or machine) * 9 // 10


class RunnerLimits(BaseSettings):
    """Limits of one job's child process, from the environment as `STERNA_RUNNER_…`.

    Attributes:
        memory_bytes: private memory of each of its processes (RLIMIT_DATA: address space that CUDA only reserves does
            not count), and resident memory of all of them together.
        cpu_s: processor time over all its threads.
        file_bytes: largest file that it may write.
        disk_bytes: all that it may have written at one time.
        files: how many files and folders it may have at one time.
        processes: how many processes and threads it may have at one time.
        wall_s: longest life of an attempt; a day more than the longest training budget that a spec can ask for.
        silence_s: longest time without a line from the runner before it counts as hung.
        grace_s: time between asking the runner to end and killing it.
        line_bytes: longest line that it may say; the result line holds the table of layers.
        event_bytes: longest line that is an event: these are stored, a hundred at a time.
        lines: most lines that it may say. Each is a row of the ledger for good; a runner says four a second at most,
            2.8 million in eight days.
    """

    model_config = SettingsConfigDict(env_prefix="STERNA_RUNNER_", frozen=True)

    memory_bytes: int = Field(default_factory=_most_of_the_memory, gt=0)
    cpu_s: int = Field(default_factory=lambda: int(8 * DAY_S) * (os.cpu_count() or 1), gt=0)
    file_bytes: int = Field(default=16 * GIB, gt=0)
    disk_bytes: int = Field(default=32 * GIB, gt=0)
    files: int = Field(default=10_000, gt=0)
    processes: int = Field(default_factory=lambda: max(1024, 16 * (os.cpu_count() or 1)), gt=0)
    wall_s: float = Field(default=8 * DAY_S, gt=0)
    silence_s: float = Field(default=3600.0, gt=0)
    grace_s: float = Field(default=5.0, ge=0)
    line_bytes: int = Field(default=4 * 2**20, gt=0)
    event_bytes: int = Field(default=64 * 2**10, gt=0)
    lines: int = Field(default=4_000_000, gt=0)

    def shared_by(self, runners: int) -> Self:
        """The limits of each of so many runners of one host: memory that nobody has set a limit on is divided."""
        if "memory_bytes" in self.model_fields_set:
            return self
        return self.model_copy(update={"memory_bytes": self.memory_bytes // runners})

    def runner_arguments(self, *, count_processes: bool) -> tuple[str, ...]:
        """The limits that the runner sets on itself, as options of its command line: known before it reads a file.

        Args:
            count_processes: whether the kernel would count the processes of this job alone.
        """
        return (
            f"--memory-bytes={self.memory_bytes}",
            f"--cpu-s={self.cpu_s}",
            f"--file-bytes={self.file_bytes}",
            *((f"--processes={self.processes}",) if count_processes else ()),
        )
