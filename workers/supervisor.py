"""Watches over one attempt of one job: everything between the claim and the final state.

The work is done by a child process (`workers.runner`). The supervisor gives it a folder and a scrubbed environment,
relays what it says to the ledger, keeps the lease, passes `stop` on, and ends it on a cancel, at a limit, when the
lease is lost or when the worker shuts down. It never imports torch and never opens a model.

    claimed ─► fill the folder ─► child ─► publish the files ─► succeed
                     │              │             │
                     └──────────────┴─────────────┴──► fail · cancelled · release · (lease lost: nothing is written)
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeVar

from api_schemas import JobErrorInfo, ProgressPoint, Result
from api_schemas.events import EventBody
from sterna.errors import Cancelled, RunnerCrashed, SternaError, TimeLimit
from storage import BlobStore, Lease, Ledger
from workers.child import Child, EndOfOutput, OverlongLine, scrubbed_environment
from workers.confinement import RUNNER_COMMAND, Confinement, LimitsAlone
from workers.diagnosis import Death, count_memory_kills
from workers.lease_keeper import LeaseKeeper
from workers.limits import RunnerLimits
from workers.patience import STORAGE_WAITS_S, with_patience
from workers.protocol import ErrorLine, ResultLine, parse_line
from workers.thinning import Thinning
from workers.usage import UsageWatch
from workers.work_folder import WorkFolder

BATCH_S: Final = 0.5
BATCH_LINES: Final = 100
LOG_EVERY_S: Final = 5.0
LOG_BYTES: Final = 2**16
"""How much of the end of the runner's log is kept in the ledger."""
_TICK_S = 0.1
_T = TypeVar("_T")

Outcome = Literal["succeeded", "failed", "cancelled", "released", "lost"]
_log = logging.getLogger(__name__)


class LeaseLost(Exception):
    """The job is another worker's now, or nobody's: nothing may be written about it."""


class WorkerStopping(Exception):
    """This worker shuts down: the job goes back to the queue."""


@dataclass(frozen=True, slots=True)
class Supervisor:
    """Runs leased jobs, one at a time per call; calls may run side by side in threads.

    Attributes:
        work_root: where each attempt gets its folder.
        lease_s: length of a lease.
        limits: what one job may use.
        confinement: the walls around the runner.
        stopping: set when this worker shuts down.
        command: the runner; its folder and the limits it sets on itself are added to it.
        storage_waits_s: how long to wait for a storage that fails, each time that it does.
    """

    ledger: Ledger
    blobs: BlobStore
    work_root: Path
    lease_s: float
    limits: RunnerLimits = field(default_factory=RunnerLimits)
    confinement: Confinement = field(default_factory=LimitsAlone)
    stopping: threading.Event = field(default_factory=threading.Event)
    command: tuple[str, ...] = RUNNER_COMMAND
    storage_waits_s: tuple[float, ...] = STORAGE_WAITS_S

    def run(self, lease: Lease) -> Outcome:
        """Run one attempt to its end and write that end down, if the lease is still its own.

        An error of the ledger is raised: the lease then runs out and the attempt counts as lost. One of the storage is
        waited for, and ends the job by its own name when it lasts.
        """
        with (
            LeaseKeeper(self.ledger, lease, lease_s=self.lease_s) as keeper,
            WorkFolder(self.work_root, lease) as folder,
        ):
            try:
                result = _Watch(self, lease, keeper, folder).result()
            except LeaseLost:
                _log.warning("%s attempt %d: the lease was lost", lease.job.id, lease.attempt)
                return "lost"
            except WorkerStopping:
                return "released" if self.ledger.release(lease) else "lost"
            except Cancelled:
                return "cancelled" if self.ledger.cancelled(lease) else "lost"
            except (SternaError, RunnerError) as error:
                info = _info(error)
                _log.warning("%s failed: %s: %s\n%s", lease.job.id, info.code, info.message, folder.log_tail())
                return "failed" if self.ledger.fail(lease, info) else "lost"
            folder.keep_log = False
            return "succeeded" if self.ledger.succeed(lease, result) else "lost"


class RunnerError(Exception):
    """What the runner itself reported. Not of the tree of `sterna.errors`: its code may be any that the runner gave."""

    def __init__(self, info: JobErrorInfo) -> None:
        super().__init__(info.message)
        self.info = info


def _info(error: SternaError | RunnerError) -> JobErrorInfo:
    if isinstance(error, RunnerError):
        return error.info
    return JobErrorInfo(code=error.code, message=error.detail, hint=error.hint)


class _Watch:
    """One attempt while it runs."""

    def __init__(self, supervisor: Supervisor, lease: Lease, keeper: LeaseKeeper, folder: WorkFolder) -> None:
        self._supervisor = supervisor
        self._limits = supervisor.limits
        self._wall_s = min(supervisor.limits.wall_s, lease.job.spec.time_limit_s or math.inf)
        self._lease = lease
        self._keeper = keeper
        self._folder = folder
        self._batch: list[EventBody] = []
        self._newest: ProgressPoint | None = None
        self._thinning = Thinning()
        self._batch_since = self._last_word = self._began = self._log_kept = time.monotonic()
        self._lines = 0
        self._stop_passed_on = False

    def result(self) -> Result:
        """Fill the folder, run the child, publish its files."""
        ledger, blobs = self._supervisor.ledger, self._supervisor.blobs
        self._patiently(lambda: self._folder.fill(self._lease, ledger, blobs))
        self._check_orders()
        result = self._run_child()
        published = self._patiently(lambda: self._folder.publish(result, ledger, blobs))
        self._check_orders()
        return published

    def _patiently(self, work: Callable[[], _T]) -> _T:
        return with_patience(work, waits_s=self._supervisor.storage_waits_s, wait=self._wait)

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._check_orders()
            time.sleep(_TICK_S)

    def _run_child(self) -> Result:
        kills_before = count_memory_kills()
        try:
            with self._start_child() as child:
                verdict = self._verdict(child)
                exit_code = self._supervisor.confinement.exit_code(child.wait(grace_s=self._limits.grace_s))
        finally:
            self._keep_log()
        if isinstance(verdict, ResultLine):
            return verdict.result
        if isinstance(verdict, ErrorLine):
            raise RunnerError(verdict.error)
        raise Death(exit_code, count_memory_kills() - kills_before, self._folder.log_tail()).explain()

    def _verdict(self, child: Child) -> ResultLine | ErrorLine | None:
        try:
            return self._listen(child)
        except (Cancelled, TimeLimit):
            child.end(grace_s=self._limits.grace_s)
            raise
        finally:
            self._flush()

    def _start_child(self) -> Child:
        """Start the runner inside its walls; where these cannot be put up there is no runner without them."""
        walls, folder = self._supervisor.confinement, self._folder.path
        place = walls.place(folder)
        limits = self._limits.runner_arguments(count_processes=walls.counts_processes)
        command = walls.command((*self._supervisor.command, str(place), *limits), folder)
        environment = scrubbed_environment(place)
        try:
            return Child(command, folder, environment, self._folder.log, line_bytes=self._limits.line_bytes)
        except OSError as error:
            raise RunnerCrashed(
                f"the runner could not be started: {error.strerror}", hint="The worker's log says more."
            ) from error

    def _listen(self, child: Child) -> ResultLine | ErrorLine | None:
        """Relay events until the last word, or until the child ends without one."""
        gone = False
        usage = UsageWatch(child.pid, self._folder.path, self._limits)
        while True:
            self._check_orders(child)
            self._check_limits()
            usage.check()
            self._folder.cap_log()
            line = child.next_line(timeout_s=_TICK_S)
            if line is EndOfOutput or (line is None and gone):
                return None
            # Something may hold the output open after the child is gone: what is in the pipe is read, then no more.
            gone = child.exited()
            if line is OverlongLine:
                raise RunnerCrashed(f"the runner said a line of more than {self._limits.line_bytes} bytes")
            if isinstance(line, bytes):
                verdict = self._hear(line)
                if verdict is not None:
                    return verdict
            self._flush_in_time()

    def _hear(self, line: bytes) -> ResultLine | ErrorLine | None:
        self._last_word = time.monotonic()
        self._lines += 1
        if self._lines > self._limits.lines:
            raise RunnerCrashed(f"the runner said more than {self._limits.lines} lines")
        heard = parse_line(line)
        if isinstance(heard, ResultLine | ErrorLine):
            return heard
        if len(line) > self._limits.event_bytes:
            raise RunnerCrashed(f"the runner told an event of more than {self._limits.event_bytes} bytes")
        if not isinstance(heard, ProgressPoint) or self._thinning.keeps(heard):
            self._batch.append(heard)
            self._newest = None
        else:
            self._newest = heard
        return None

    def _check_orders(self, child: Child | None = None) -> None:
        order = self._keeper.order
        if order == "lost":
            raise LeaseLost
        if order == "cancel":
            raise Cancelled("the job was cancelled")
        if self._supervisor.stopping.is_set():
            raise WorkerStopping
        if order == "stop" and child is not None and not self._stop_passed_on:
            child.tell("stop")
            self._stop_passed_on = True

    def _check_limits(self) -> None:
        now = time.monotonic()
        if now - self._began > self._wall_s:
            raise TimeLimit(
                f"the job ran longer than the {self._wall_s:g} s that one attempt may take",
                hint="Set `budget.seconds` below that limit, or raise `time_limit_s` where the job has set it.",
            )
        if now - self._last_word > self._limits.silence_s:
            raise TimeLimit(
                f"the runner said nothing for {self._limits.silence_s:g} s and counts as hung",
                hint="Try a smaller model or less data; an operator can raise STERNA_RUNNER_SILENCE_S.",
            )

    def _flush_in_time(self) -> None:
        now = time.monotonic()
        if not self._batch and self._newest is None:
            self._batch_since = now
        elif len(self._batch) >= BATCH_LINES or now - self._batch_since > BATCH_S:
            self._flush()
        if now - self._log_kept > LOG_EVERY_S:
            self._keep_log()

    def _flush(self) -> None:
        if not self._batch and self._newest is None:
            return
        bodies, newest = self._batch, self._newest
        self._batch, self._newest = [], None
        self._batch_since = time.monotonic()
        if not self._supervisor.ledger.record(self._lease, bodies, newest=newest):
            raise LeaseLost

    def _keep_log(self) -> None:
        self._log_kept = time.monotonic()
        text = self._folder.log_tail(LOG_BYTES)
        if text:
            self._supervisor.ledger.keep_log(self._lease, text)
