"""What holds a runner, chosen once when a worker starts.

`STERNA_SANDBOX` is `auto` (bubblewrap where it works, resource limits alone where it does not), `required` (a worker
without bubblewrap does not start) or `off`. That it is installed says little: a kernel or a container may forbid it
its namespaces. So one is tried, with the very command line of a job, before a job is taken. Afterwards nothing is ever
lowered: where bubblewrap fails later, the job fails.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Literal, Protocol

from pydantic_settings import BaseSettings, SettingsConfigDict

from api_schemas import Sandbox
from sterna.errors import SandboxUnavailable
from workers.bubblewrap import WRITABLE, Bubblewrap
from workers.child import scrubbed_environment

RUNNER_COMMAND: Final = (sys.executable, "-m", "workers.runner")
_PROBE_S: Final = 60.0
# Options, and whether there is a `/proc` of its own, which a container forbids. Not every version knows
# `--disable-userns`, a set-uid bwrap refuses it, and it writes to what is read-only in a container.
_BEST_FIRST: Final[tuple[tuple[tuple[str, ...], bool], ...]] = (
    (("--disable-userns",), True),
    ((), True),
    (("--disable-userns",), False),
    ((), False),
)
_log = logging.getLogger(__name__)


class SandboxSettings(BaseSettings):
    """The operator's wish, from the environment."""

    model_config = SettingsConfigDict(env_prefix="STERNA_", extra="ignore", frozen=True)

    sandbox: Literal["required", "auto", "off"] = "auto"


class Confinement(Protocol):
    """The walls around a runner, besides the limits that it sets on itself."""

    @property
    def name(self) -> Sandbox:
        """How a job's record calls it."""

    @property
    def counts_processes(self) -> bool:
        """Whether a limit on processes counts those of one job alone."""

    def place(self, folder: Path) -> Path:
        """Where the runner finds its work folder."""

    def command(self, runner: Sequence[str], folder: Path, devices: Sequence[Path] = ()) -> tuple[str, ...]:
        """How to start a runner that works in `folder` and computes on `devices`, the files of its GPU."""

    def exit_code(self, code: int) -> int:
        """The runner's own exit code (−N after signal N), from that of the process that was started."""


@dataclass(frozen=True, slots=True)
class LimitsAlone:
    """No walls: the runner has the rights of its worker."""

    name: ClassVar[Sandbox] = "limits"
    counts_processes: ClassVar[bool] = False

    def place(self, folder: Path) -> Path:
        """The folder itself."""
        return folder

    def command(
        self,
        runner: Sequence[str],
        folder: Path,  # noqa: ARG002  of the protocol
        devices: Sequence[Path] = (),  # noqa: ARG002  of the protocol
    ) -> tuple[str, ...]:
        """The runner's own."""
        return tuple(runner)

    def exit_code(self, code: int) -> int:
        """The same."""
        return code


def choose_confinement(
    settings: SandboxSettings, *, data_dir: Path, work_root: Path, devices: Sequence[Path] = ()
) -> Confinement:
    """Choose what the operator wishes and the machine allows.

    Args:
        settings: the wish.
        data_dir: the installation's folder, which no runner may see.
        work_root: where jobs get their folders; the trial is made there.
        devices: files of the GPUs that runners will be given.

    Raises:
        SandboxUnavailable: it is required and does not work; the message says why not.
    """
    if settings.sandbox == "off":
        return LimitsAlone()
    found = find_bubblewrap(data_dir, work_root, devices=devices)
    if isinstance(found, Bubblewrap):
        return found
    if settings.sandbox == "required":
        raise SandboxUnavailable(
            f"STERNA_SANDBOX is 'required' and bubblewrap does not work here: {found}",
            hint="Install bubblewrap and allow user namespaces (docs/security.md), or set STERNA_SANDBOX=auto.",
        )
    _log.warning("no bubblewrap around jobs, only resource limits: %s", found)
    return LimitsAlone()


def find_bubblewrap(
    data_dir: Path, work_root: Path, program: str = "bwrap", devices: Sequence[Path] = ()
) -> Bubblewrap | str:
    """Bubblewrap as it works here, or in a sentence why it does not."""
    path = shutil.which(program)
    if path is None:
        return f"{program} is not installed"
    why_not = ""
    for extra, own_proc in _BEST_FIRST:
        candidate = Bubblewrap(path, data_dir, extra, own_proc)
        why_not = _try(candidate, work_root, devices)
        if not why_not:
            return candidate
    return why_not


def _try(candidate: Bubblewrap, work_root: Path, devices: Sequence[Path]) -> str:
    """Have a runner say its usage inside; empty when it does, else the last words."""
    work_root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work_root, prefix="probe-") as name:
        folder = Path(name)
        for inner in WRITABLE:
            (folder / inner).mkdir()
        command = candidate.command((*RUNNER_COMMAND, "--help"), folder, devices)
        environment = scrubbed_environment(candidate.place(folder))
        try:
            done = subprocess.run(
                command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_S, check=False
            )
        except subprocess.TimeoutExpired:
            return f"it did not answer within {_PROBE_S:g} s"
        except OSError as error:
            return str(error)
    if done.returncode == 0:
        return ""
    words = done.stderr.decode(errors="replace").strip().splitlines()
    return words[-1] if words else f"it ended with {done.returncode}"
