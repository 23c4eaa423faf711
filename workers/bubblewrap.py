"""A runner inside bubblewrap (https://github.com/containers/bubblewrap): it sees a read-only system and its own folder.

    /usr, /lib…, the interpreter, Sterna's packages     as they are, read-only
    /job         the work folder, read-only             /job/out, /job/tmp   writable; /job/tmp is /tmp, too
    /proc        of its own processes alone             /dev                 the harmless devices, and its slot's GPU
    network      none but its own loopback              user                 nobody, no capabilities, no new ones

Everything else of the machine is not refused but absent: other jobs, the ledger, keys, home folders, sockets. Its
processes end with bubblewrap, whatever they do, and bubblewrap ends with the worker's thread that started it.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from api_schemas import Sandbox

JOB: Final = Path("/job")
"""Where a runner sees its work folder."""
WRITABLE: Final = ("out", "tmp")

_CODE_ROOT: Final = Path(__file__).resolve().parents[1]
_PACKAGES: Final = ("api_schemas", "sterna", "workers")
_SYSTEM: Final = ("/usr", "/nix/store")
_SYSTEM_LINKS: Final = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SYSTEM_FILES: Final = (
    "/etc/alternatives",
    "/etc/group",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/sys/devices/system/cpu",
)
_NOBODY: Final = "65534"
_ALONE: Final = (
    *("--unshare-all", "--unshare-user", "--hostname", "job", "--die-with-parent"),
    *("--uid", _NOBODY, "--gid", _NOBODY, "--cap-drop", "ALL"),
)
# torch's own libraries read the first; neither tells of processes.
_BARE_PROC: Final = (
    *("--tmpfs", "/proc"),
    *(word for name in ("/proc/cpuinfo", "/proc/meminfo") for word in ("--ro-bind-try", name, name)),
)
# Since this kernel RLIMIT_NPROC counts the tasks of one user namespace, before it those of the user everywhere.
_COUNTS_APART: Final = (5, 14)


@dataclass(frozen=True, slots=True)
class Bubblewrap:
    """Walls of namespaces.

    Attributes:
        program: the `bwrap` to start.
        data_dir: the installation's folder, hidden even where it lies inside something that is shown.
        extra: options that not every version knows.
        own_proc: whether the runner gets a `/proc` of its own processes; else one with the processor's description
            alone. The kernel refuses a new one where part of the old one is masked, as in a container.
    """

    name: ClassVar[Sandbox] = "bubblewrap"
    program: str
    data_dir: Path
    extra: tuple[str, ...] = ()
    own_proc: bool = True

    def place(self, folder: Path) -> Path:  # noqa: ARG002  always the same
        """Where the runner finds its folder."""
        return JOB

    def command(self, runner: Sequence[str], folder: Path, devices: Sequence[Path] = ()) -> tuple[str, ...]:
        """How to start a runner that works in `folder` and computes on `devices`."""
        shown = list(_shown(os.environ))
        return (
            self.program,
            *_ALONE,
            *self.extra,
            # Private, and on the disk where it is counted, not in memory where it is not. First: this code and its
            # interpreter may themselves lie in the machine's /tmp, and are then shown within this one.
            *("--bind", str(folder / "tmp"), "/tmp"),  # noqa: S108
            *_pairs("--ro-bind", shown),
            *_system_links(),
            *_pairs("--ro-bind-try", map(Path, _SYSTEM_FILES)),
            *(("--tmpfs", str(self.data_dir)) if _is_within(self.data_dir, shown) else ()),
            *(("--proc", "/proc") if self.own_proc else _BARE_PROC),
            *("--dev", "/dev"),
            *_gpus(devices),
            *("--ro-bind", str(folder), str(JOB)),
            *(word for name in WRITABLE for word in ("--bind", str(folder / name), str(JOB / name))),
            *("--bind", str(folder / "tmp"), "/dev/shm"),  # noqa: S108
            # Without it the runner of a worker that is root could set /proc/sys/kernel/core_pattern: a way out.
            *(word for path in ("/proc", "/dev", "/") for word in ("--remount-ro", path)),
            *("--chdir", str(JOB), "--"),
            *runner,
        )

    def exit_code(self, code: int) -> int:
        """The runner's own: bubblewrap says 128 + N, as a shell does, of one that signal N has ended."""
        return 128 - code if code > 128 else code

    @property
    def counts_processes(self) -> bool:
        """Whether the kernel counts the sandbox's processes apart; those that root has started it never counts."""
        version = re.match(r"(\d+)\.(\d+)", platform.release())
        return os.geteuid() != 0 and version is not None and tuple(map(int, version.groups())) >= _COUNTS_APART


def _shown(environ: Mapping[str, str]) -> Iterator[Path]:
    """Folders of the system, the interpreter, its libraries and this code; none inside another."""
    interpreter = (sys.prefix, sys.base_prefix, sys.exec_prefix, str(Path(sys.executable).resolve().parents[1]))
    libraries = environ.get("LD_LIBRARY_PATH", "").split(":")
    wanted = [Path(name) for name in (*_SYSTEM, *interpreter, *libraries) if name.startswith("/")]
    wanted += [_CODE_ROOT / package for package in _PACKAGES]
    shown: list[Path] = []
    for path in sorted({path for one in wanted for path in (one, one.resolve())}, key=lambda path: len(path.parts)):
        if path.is_dir() and path != Path("/") and not _is_within(path, shown):
            shown.append(path)
    yield from shown


def _is_within(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _system_links() -> Iterator[str]:
    """`/bin` and its like: links into `/usr` today, folders on older systems."""
    for path in map(Path, _SYSTEM_LINKS):
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), str(path))
        elif path.is_dir():
            yield from ("--ro-bind", str(path), str(path))


def _gpus(devices: Sequence[Path]) -> Iterator[str]:
    """A GPU's device files, where it has one, and what its driver reads about them."""
    yield from _pairs("--dev-bind", devices)
    if devices:
        yield from _pairs("--ro-bind-try", [Path("/sys")])


def _pairs(option: str, paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        yield from (option, str(path), str(path))
