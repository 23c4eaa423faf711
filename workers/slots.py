"""Slots: what one worker process may run at a time, and on what. There is one worker process on a host.

    a host with GPUs       one slot for each GPU or part of one that no other process has leased
    a host without         `STERNA_RUNNERS` slots on the processor
    either                 the cores that this process may use, divided among the slots

`STERNA_GPUS` is `auto` (what `CUDA_VISIBLE_DEVICES` leaves of the GPUs that are found), `none`, or a list such as `0,2`
of numbers as `nvidia-smi -L` prints them. A runner learns of its slot from its environment alone.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from sterna.errors import GpuUnavailable, SettingUnusable
from sterna.threads import usable_cores
from workers.gpu_lease import GpuLease, lock_folder
from workers.gpus import Gpu, find_gpus

CORES_PER_RUNNER: Final = 4
"""So many cores make one slot where nobody says otherwise."""
_DRIVER: Final = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset", "nvidia-caps")
_log = logging.getLogger(__name__)


class SlotSettings(BaseSettings):
    """The operator's wish, from the environment."""

    model_config = SettingsConfigDict(env_prefix="STERNA_", extra="ignore", frozen=True)

    gpus: str = "auto"
    runners: int | None = Field(default=None, ge=1, le=1024)
    warm_runners: bool = True
    gpu_lock_dir: Path = Field(default_factory=lock_folder)


@dataclass(frozen=True, slots=True)
class Slot:
    """Room for one runner.

    Attributes:
        name: for logs.
        threads: cores that the runner computes with.
        gpu: what it computes on; None: the processor.
    """

    name: str
    threads: int
    gpu: Gpu | None = None

    @property
    def kind(self) -> Literal["cpu", "gpu"]:
        """Of its device."""
        return "cpu" if self.gpu is None else "gpu"

    def environment(self, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
        """What a runner of this slot is told, above all which GPUs are there for it: its own, or none.

        Args:
            environ: where the operator may have asked for fewer threads.
        """
        asked = environ.get("OMP_NUM_THREADS", "")
        threads = str(min(self.threads, int(asked)) if asked.isdigit() and int(asked) > 0 else self.threads)
        visible = "" if self.gpu is None else self.gpu.uuid
        return {
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            "CUDA_VISIBLE_DEVICES": visible,
            "MKL_NUM_THREADS": threads,
            "OMP_NUM_THREADS": threads,
        }

    def devices(self, folder: Path = Path("/dev")) -> tuple[Path, ...]:
        """The device files that a runner of this slot has to open: the driver's, and of the GPUs its own alone."""
        if self.gpu is None:
            return ()
        own = "nvidia[0-9]*" if self.gpu.minor is None else f"nvidia{self.gpu.minor}"
        driver = [folder / name for name in _DRIVER if (folder / name).exists()]
        return (*driver, *sorted(folder.glob(own)))


class SlotPool:
    """The slots of this process, taken for a job and given back. Used by several threads.

    Args:
        slots: at least one.
        leases: of their GPUs.
    """

    def __init__(self, slots: Sequence[Slot], leases: Sequence[GpuLease] = ()) -> None:
        self.slots = tuple(slots)
        self._free = deque(self.slots)
        self._mutex = threading.Lock()
        self._leases = tuple(leases)

    def __len__(self) -> int:
        return len(self.slots)

    @contextmanager
    def taken(self) -> Iterator[Slot | None]:
        """The slot that has been free for longest, for the length of the block; None where all are taken."""
        with self._mutex:
            slot = self._free.popleft() if self._free else None
        try:
            yield slot
        finally:
            if slot is not None:
                with self._mutex:
                    self._free.append(slot)

    def close(self) -> None:
        """Give the GPUs back."""
        for lease in self._leases:
            lease.give_back()


def open_slots(
    settings: SlotSettings, gpus: Sequence[Gpu] | None = None, environ: Mapping[str, str] = os.environ
) -> SlotPool:
    """Make the slots of this process and lease their GPUs.

    Args:
        settings: the operator's wish.
        gpus: of this machine; None: they are looked for, unless none are wanted.
        environ: where `CUDA_VISIBLE_DEVICES` may say that only some of them are this process's.

    Raises:
        SettingUnusable: `STERNA_GPUS` is not understood, or locks cannot be made in `STERNA_GPU_LOCK_DIR`.
        GpuUnavailable: a GPU that is named is not here, or every GPU is another process's.
    """
    cores = usable_cores()
    wanted = _wanted(settings.gpus, environ, gpus)
    if not wanted:
        runners = settings.runners or max(1, cores // CORES_PER_RUNNER)
        return SlotPool([Slot(f"cpu-{n}", max(1, cores // runners)) for n in range(runners)])
    try:
        leased = [
            (gpu, lease) for gpu in wanted if (lease := GpuLease.take(gpu.uuid, settings.gpu_lock_dir)) is not None
        ]
    except OSError as error:
        raise SettingUnusable(
            f"STERNA_GPU_LOCK_DIR: {error.filename} cannot be locked: {error.strerror}",
            hint="name a folder of this host that every worker process may write",
        ) from error
    if not leased:
        raise GpuUnavailable(
            f"every GPU that this worker may use is another process's: {', '.join(gpu.uuid for gpu in wanted)}",
            hint="One worker process on a host serves all its GPUs; end the other one, or set STERNA_GPUS=none.",
        )
    if len(leased) < len(wanted):
        _log.warning("%d of %d GPUs are another process's", len(wanted) - len(leased), len(wanted))
    threads = max(1, cores // len(leased))
    slots = [Slot(f"gpu-{n}", threads, gpu) for n, (gpu, _) in enumerate(leased)]
    return SlotPool(slots, [lease for _, lease in leased])


def _wanted(wish: str, environ: Mapping[str, str], gpus: Sequence[Gpu] | None) -> list[Gpu]:
    if wish == "none":
        return []
    found = list(find_gpus() if gpus is None else gpus)
    if wish == "auto":
        visible = environ.get("CUDA_VISIBLE_DEVICES")
        return found if visible is None else _visible(visible, found)
    words = [word.strip() for word in wish.split(",")]
    if not all(word.isdecimal() for word in words):
        raise SettingUnusable(
            f"STERNA_GPUS is {wish!r}; allowed are 'auto', 'none' and numbers with commas between them",
            hint="`nvidia-smi -L` prints the numbers of the GPUs.",
        )
    absent = sorted({int(word) for word in words} - {gpu.index for gpu in found})
    if absent:
        raise GpuUnavailable(
            f"STERNA_GPUS names GPU {', '.join(map(str, absent))}; found were {len(found)} GPUs and parts of GPUs",
            hint="Look at what `nvidia-smi -L` prints for the worker's user, in its container.",
        )
    return [gpu for gpu in found if str(gpu.index) in {str(int(word)) for word in words}]


def _visible(visible: str, found: Sequence[Gpu]) -> list[Gpu]:
    """Those that CUDA would see: numbers, or beginnings of UUIDs; from the first on that does not exist, no more."""
    chosen: list[Gpu] = []
    for word in visible.split(","):
        name = word.strip()
        named = [gpu for gpu in found if (str(gpu.index) == name if name.isdecimal() else _is_named(gpu, name))]
        if not named:
            break
        chosen += [gpu for gpu in named if gpu not in chosen]
    return chosen


def _is_named(gpu: Gpu, name: str) -> bool:
    return name.startswith(("GPU-", "MIG-")) and gpu.uuid.startswith(name)
