"""This process's control group (version 2): its memory limit and its count of memory kills, where there is one.

In a container the machine's memory is not what the process may use, and the machine's count of memory kills is also
that of its neighbours.
"""

from __future__ import annotations

from pathlib import Path

_MEMBERSHIP = Path("/proc/self/cgroup")
_ROOT = Path("/sys/fs/cgroup")


def own_groups(membership: Path = _MEMBERSHIP, root: Path = _ROOT) -> tuple[Path, ...]:
    """The folders of this process's group and of those around it, innermost first; none without version 2."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return ()
    # Version 2 is the hierarchy numbered 0, which names no controller: `0::/path`.
    paths = [line.removeprefix("0::") for line in lines if line.startswith("0::/")]
    if not paths:
        return ()
    inner = root / paths[0].lstrip("/")
    return (inner, *(group for group in inner.parents if group.is_relative_to(root)))


def memory_limit(groups: tuple[Path, ...]) -> int | None:
    """The smallest memory limit of these groups, in bytes; None where none has one."""
    limits = [int(text) for group in groups if (text := _read(group / "memory.max")).isdigit()]
    return min(limits, default=None)


def memory_left(groups: tuple[Path, ...]) -> int | None:
    """Bytes that these groups may still use, file cache that can be dropped included; None where none has a limit."""
    left = []
    for group in groups:
        limit, used = _read(group / "memory.max"), _read(group / "memory.current")
        if limit.isdigit() and used.isdigit():
            left.append(int(limit) - int(used) + _droppable(group))
    return min(left, default=None)


def _droppable(group: Path) -> int:
    for line in _read(group / "memory.stat").splitlines():
        name, _, size = line.partition(" ")
        if name == "inactive_file" and size.isdigit():
            return int(size)
    return 0


def memory_kills(groups: tuple[Path, ...]) -> int | None:
    """How many processes of the innermost group the kernel has killed for memory; None where it does not count them."""
    for group in groups[:1]:
        for line in _read(group / "memory.events").splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return None


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
