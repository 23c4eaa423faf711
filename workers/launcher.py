"""Starts runners: by which command, within which walls, with which limits, on what of the machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sterna.errors import RunnerCrashed
from workers.child import Child, scrubbed_environment
from workers.confinement import Confinement
from workers.limits import RunnerLimits
from workers.slots import Slot
from workers.work_folder import LOG_NAME


@dataclass(frozen=True, slots=True)
class Launcher:
    """How every runner of a worker is started, cold or ahead of its job.

    Attributes:
        confinement: the walls around it; where these cannot be put up there is no runner without them.
        limits: what one job may use.
        command: the runner; its folder and the limits it sets on itself are added to it.
        more: options that every runner is given, too.
    """

    confinement: Confinement
    limits: RunnerLimits
    command: tuple[str, ...]
    more: tuple[str, ...] = ()

    def start(self, folder: Path, slot: Slot, *, waits: bool = False) -> Child:
        """Start a runner in a folder that holds `out/` and `tmp/`.

        Args:
            folder: the only one that it may write.
            slot: what it computes with.
            waits: load everything, then wait until it is told `start` and where its folder is.

        Raises:
            RunnerCrashed: it cannot be started.
        """
        walls = self.confinement
        place = walls.place(folder)
        options = self.limits.runner_arguments(count_processes=walls.counts_processes)
        wait = ("--wait",) if waits else ()
        command = walls.command((*self.command, str(place), *options, *self.more, *wait), folder, slot.devices())
        environment = scrubbed_environment(place) | slot.environment()
        try:
            return Child(command, folder, environment, folder / LOG_NAME, line_bytes=self.limits.line_bytes)
        except OSError as error:
            raise RunnerCrashed(
                f"the runner could not be started: {error.strerror}", hint="The worker's log says more."
            ) from error
