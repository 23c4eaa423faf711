"""How torch's threads wait and how many there are, decided before torch is loaded; what the user set stays.

torch computes with OpenMP, whose threads spin while they wait. That is quick where every thread has a core of its own.
Where processes share cores, each spins away the time that the others need: small networks become ten times slower.
And OpenMP counts the cores that it may run on, not the share of them that a container is given.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")


def calm_threads(environ: MutableMapping[str, str] = os.environ) -> None:
    """Have OpenMP's threads sleep while they wait, and be no more than there are cores to use.

    Takes effect where torch is not yet loaded, and in every process that is started later.

    Args:
        environ: changed in place, but for what it already says.
    """
    environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    environ.setdefault("OMP_NUM_THREADS", str(usable_cores()))


def usable_cores(quota: Path = _QUOTA) -> int:
    """The cores that this process may use at once, at least one: those it may run on, within its share of them.

    Args:
        quota: `cpu.max` of the control group, `max 100000` or microseconds in a period such as `150000 100000`.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        share, period = quota.read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if not share.isdigit() else max(1, min(cores, int(share) // int(period)))
