"""Why a runner left no result: from its exit code, the kernel's counter of memory kills, and its last words."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path

from sterna.errors import DiskLimit, JobError, OutOfMemory, RunnerCrashed, TimeLimit
from workers.cgroup import memory_kills, own_groups

_OF_THE_MACHINE = Path("/proc/vmstat")
_LAST_WORDS_OF_THE_STARVED = ("std::bad_alloc", "MemoryError", "can't allocate memory", "Cannot allocate memory")
_MEMORY_HINT = "Use a worker with more memory, or a smaller model or less data."


def count_memory_kills() -> int:
    """How many processes the kernel has killed for memory: in this control group, or on the machine without one."""
    in_group = memory_kills(own_groups())
    if in_group is not None:
        return in_group
    try:
        lines = _OF_THE_MACHINE.read_text().splitlines()
    except OSError:
        return 0  # not Linux, or a kernel without this counter: then the sign is simply missing
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


@dataclass(frozen=True, slots=True)
class Death:
    """How a child ended.

    Attributes:
        exit_code: −N after signal N.
        memory_kills: how much the kernel's counter rose during its life.
        last_words: the end of its log.
    """

    exit_code: int
    memory_kills: int
    last_words: str

    def explain(self) -> JobError:
        """The error that the job fails with."""
        if self._was_starved():
            return OutOfMemory("the runner needed more memory than there is for it", hint=_MEMORY_HINT)
        if self.exit_code == -signal.SIGXCPU:
            return TimeLimit("the runner used up the processor time of one job", hint="Give the job a smaller budget.")
        if self.exit_code == -signal.SIGXFSZ:
            return DiskLimit("a file of the job grew larger than one may be", hint="Ask for fewer exports.")
        return RunnerCrashed(
            f"the runner ended with {self._how()} and without a result",
            hint="Its last lines are in the worker's log; if it happens again with the same files, please report it.",
        )

    def _was_starved(self) -> bool:
        if self.exit_code == -signal.SIGKILL:
            return self.memory_kills > 0
        return self.exit_code != 0 and any(word in self.last_words for word in _LAST_WORDS_OF_THE_STARVED)

    def _how(self) -> str:
        if self.exit_code >= 0:
            return f"exit code {self.exit_code}"
        try:
            return f"signal {signal.Signals(-self.exit_code).name}"
        except ValueError:
            return f"signal {-self.exit_code}"
