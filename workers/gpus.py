"""Which NVIDIA GPUs this machine has, read from text alone: the supervisor never loads torch nor touches CUDA.

    nvidia-smi -L                                    GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-5d…)
                                                       MIG 1g.10gb     Device  0: (UUID: MIG-7a…)
    /proc/driver/nvidia/gpus/0000:07:00.0/information    GPU UUID: GPU-5d…   Device Minor: 0

The first says what may be computed on: a GPU that is divided (MIG) is its parts. The second says which file in `/dev`
belongs to a GPU, and stands in for the first where that program is missing.
"""

from __future__ import annotations

import logging
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_GPU: Final = re.compile(r"GPU (?P<index>\d+): .*\(UUID: (?P<uuid>GPU-[0-9A-Za-z-]+)\)")
_PART: Final = re.compile(r"\s+MIG .*\(UUID: (?P<uuid>MIG-[0-9A-Za-z/-]+)\)")
_FIELD: Final = re.compile(r"(?P<name>GPU UUID|Device Minor|GPU Excluded):\s*(?P<value>\S+)")
_PROC: Final = Path("/proc/driver/nvidia/gpus")
_LIST: Final = ("nvidia-smi", "-L")
_LIST_S: Final = 30.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU, or one part of a divided one.

    Attributes:
        index: number of the whole GPU, in the order of the PCI bus.
        uuid: what CUDA calls it whatever else is there, `GPU-…` or `MIG-…`.
        minor: N of its `/dev/nvidiaN`; None where the driver does not say.
    """

    index: int
    uuid: str
    minor: int | None = None


def find_gpus(command: Sequence[str] = _LIST, proc: Path = _PROC) -> tuple[Gpu, ...]:
    """The GPUs of this machine in the order of the PCI bus; none where there is no driver."""
    minors = _read_proc(proc)
    listed = _listed(command)
    if listed is not None:
        return tuple(parse_list(listed, minors))
    return tuple(Gpu(index, uuid, minor) for index, (uuid, minor) in enumerate(minors.items()))


def parse_list(text: str, minors: dict[str, int | None]) -> Iterator[Gpu]:
    """Read what `nvidia-smi -L` prints.

    Args:
        text: its output; lines that are not understood are passed over.
        minors: of the GPUs that are known from elsewhere, by UUID.
    """
    whole: Gpu | None = None
    divided = False
    for line in text.splitlines():
        if gpu := _GPU.match(line):
            if whole is not None and not divided:
                yield whole
            whole, divided = Gpu(int(gpu["index"]), gpu["uuid"], minors.get(gpu["uuid"])), False
        elif whole is not None and (part := _PART.match(line)):
            divided = True
            yield Gpu(whole.index, part["uuid"], whole.minor)
    if whole is not None and not divided:
        yield whole


def _listed(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIST_S, check=False)
    except FileNotFoundError:
        return None
    except (OSError, subprocess.TimeoutExpired) as error:
        _log.warning("GPUs could not be listed: %s", error)
        return None
    if done.returncode != 0:
        _log.warning("GPUs could not be listed: %s", (done.stderr or done.stdout).strip()[:400])
        return None
    return done.stdout


def _read_proc(proc: Path) -> dict[str, int | None]:
    """UUID and device number of each GPU of the driver's own list, in the order of the PCI bus."""
    found: dict[str, int | None] = {}
    for file in sorted(proc.glob("*/information")):
        fields = {match["name"]: match["value"] for match in _FIELD.finditer(file.read_text(errors="replace"))}
        uuid, minor = fields.get("GPU UUID", ""), fields.get("Device Minor", "")
        if uuid.startswith("GPU-") and fields.get("GPU Excluded", "No") == "No":
            found[uuid] = int(minor) if minor.isdigit() else None
    return found
