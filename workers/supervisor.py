"""Watches over one attempt of one job: everything between the claim and the final state.

The work is done by a child process (`workers.runner`). The supervisor gives it a folder and a scrubbed environment,
relays what it says to the ledger, keeps the lease, passes `stop` on, and ends it on a cancel, at a limit, when the
lease is lost or when the worker shuts down. It never imports torch and never opens a model. What the runner keeps of
its training goes to the blob store on the way (`workers.checkpoints`), and the next attempt is given it.

    claimed ─► fill the folder ─► child ─► publish the files ─► succeed
                     │              │             │
                     └──────────────┴─────────────┴──► fail · cancelled · release · (lease lost: nothing is written)
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from api_schemas import JobErrorInfo, ProgressPoint, Result
from api_schemas.events import EventBody, Message, PhaseChange
from sterna.errors import Cancelled, RunnerCrashed, SternaError, TimeLimit
from sterna.threads import usable_cores
from storage import BlobStore, Lease, Ledger
from workers.checkpoints import TRAINING_PHASES, CheckpointRules, CheckpointUploads
from workers.child import Child, EndOfOutput, OverlongLine
from workers.confinement import RUNNER_COMMAND, Confinement, LimitsAlone
from workers.diagnosis import Death, count_memory_kills
from workers.launcher import Launcher
from workers.lease_keeper import LeaseKeeper
from workers.limits import RunnerLimits
from workers.patience import STORAGE_WAITS_S, with_patience
from workers.protocol import CheckpointLine, ErrorLine, ResultLine, parse_line
from workers.slots import Slot
from workers.thinning import Thinning
from workers.usage import UsageWatch
from workers.warm_runners import WarmRunner
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
        slot: what the runner computes with.
        warm: a runner that was started ahead in this slot; it is used by the first job, or ended with it.
        checkpoints: how the job's state is kept.
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
    slot: Slot = field(default_factory=lambda: Slot("cpu", usable_cores()))
    warm: WarmRunner | None = None
    checkpoints: CheckpointRules = field(default_factory=CheckpointRules)
    stopping: threading.Event = field(default_factory=threading.Event)
    command: tuple[str, ...] = RUNNER_COMMAND
    storage_waits_s: tuple[float, ...] = STORAGE_WAITS_S

    @property
    def launcher(self) -> Launcher:
        """How its runners are started."""
        return Launcher(self.confinement, self.limits, self.command, self.checkpoints.runner_arguments())

    def run(self, lease: Lease) -> Outcome:
        """Run one attempt to its end and write that end down, if the lease is still its own.

        A ledger that is away is waited for as long as the lease lasts; then the attempt counts as lost. A storage that
        is away is waited for too, and ends the job by its own name when that lasts.
        """
        with (
            LeaseKeeper(self.ledger, lease, lease_s=self.lease_s) as keeper,
            nullcontext() if self.warm is None else closing_unused(self.warm),
            WorkFolder(self.work_root, lease) as folder,
            CheckpointUploads(
                self.ledger, self.blobs, lease, folder, most_bytes=self.checkpoints.most_bytes
            ) as uploads,
        ):
            try:
                result = _Watch(self, lease, keeper, folder, uploads).result()
            except LeaseLost:
                _log.warning("%s attempt %d: the lease was lost", lease.job.id, lease.attempt)
                return "lost"
            except WorkerStopping:
                return "released" if keeper.patient(lambda: self.ledger.release(lease)) else "lost"
            except Cancelled:
                return "cancelled" if keeper.patient(lambda: self.ledger.cancelled(lease)) else "lost"
            except (SternaError, RunnerError) as error:
                info = _info(error)
                _log.warning("%s failed: %s: %s\n%s", lease.job.id, info.code, info.message, folder.log_tail())
                return "failed" if keeper.patient(lambda: self.ledger.fail(lease, info)) else "lost"
            folder.keep_log = False
            return "succeeded" if keeper.patient(lambda: self.ledger.succeed(lease, result)) else "lost"


@contextmanager
def closing_unused(warm: WarmRunner) -> Iterator[None]:
    """At the end of the block the runner is gone, whatever happened, and so is a folder that no job took over."""
    try:
        yield
    finally:
        warm.end()


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

    def __init__(
        self,
        supervisor: Supervisor,
        lease: Lease,
        keeper: LeaseKeeper,
        folder: WorkFolder,
        uploads: CheckpointUploads,
    ) -> None:
        self._supervisor = supervisor
        self._uploads = uploads
        self._training = False
        self._last_wanted: tuple[float, int] | None = None
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
        self._ledger_away = False
        self._stop_passed_on = False

    def result(self) -> Result:
        """Fill the folder, run the child, publish its files."""
        ledger, blobs = self._supervisor.ledger, self._supervisor.blobs
        warm = self._supervisor.warm
        adopted = warm is not None and self._folder.adopt(warm.folder)
        self._patiently(lambda: self._folder.fill(self._lease, ledger, blobs))
        self._fetch_checkpoint()
        self._check_orders()
        result = self._run_child(warm if adopted else None)
        published = self._patiently(lambda: self._folder.publish(result, ledger, blobs))
        self._patiently(self._record)
        self._check_orders()
        return published

    def _fetch_checkpoint(self) -> None:
        """Give the runner what an earlier attempt has kept; without it the job begins anew, and is told so."""
        sha256 = self._patiently(lambda: self._supervisor.ledger.checkpoint(self._lease))
        if sha256 is None:
            return
        self._uploads.rely_on(sha256)
        if not self._patiently(lambda: self._folder.fetch_checkpoint(sha256, self._supervisor.blobs)):
            text = "the checkpoint of the attempt before is gone or damaged: the work begins anew"
            self._batch.append(Message(code="CHECKPOINT_LOST", text=text))

    def _patiently(self, work: Callable[[], _T]) -> _T:
        """Do what asks the ledger and the storage, each of which may be away for a while."""

        def asked() -> _T:
            return self._keeper.patient(work, wait=self._wait)

        return with_patience(asked, waits_s=self._supervisor.storage_waits_s, wait=self._wait)

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._check_orders()
            time.sleep(_TICK_S)

    def _run_child(self, warm: WarmRunner | None) -> Result:
        verdict: ResultLine | ErrorLine | Death | None = None
        if warm is not None:
            warm.child.tell(f"start {self._supervisor.confinement.place(self._folder.path)}")
            verdict = self._watch(warm.child)
            if isinstance(verdict, Death) and self._lines == 0:
                # A runner's first word comes before it reads a file, so it was not the job that ended it.
                _log.warning("a runner that was started ahead ended without a word: the job starts cold")
                verdict = None
        if verdict is None:
            verdict = self._watch(self._supervisor.launcher.start(self._folder.path, self._supervisor.slot))
        if isinstance(verdict, ResultLine):
            return verdict.result
        if isinstance(verdict, ErrorLine):
            raise RunnerError(verdict.error)
        raise verdict.explain()

    def _watch(self, child: Child) -> ResultLine | ErrorLine | Death:
        kills_before = count_memory_kills()
        try:
            with child:
                verdict = self._verdict(child)
                exit_code = self._supervisor.confinement.exit_code(child.wait(grace_s=self._limits.grace_s))
        finally:
            self._keep_log()
        return verdict or Death(exit_code, count_memory_kills() - kills_before, self._folder.log_tail())

    def _verdict(self, child: Child) -> ResultLine | ErrorLine | None:
        try:
            return self._listen(child)
        except (Cancelled, TimeLimit):
            child.end(grace_s=self._limits.grace_s)
            raise
        finally:
            self._flush()

    def _listen(self, child: Child) -> ResultLine | ErrorLine | None:
        """Relay events until the last word, or until the child ends without one."""
        usage = UsageWatch(child.pid, self._folder.path, self._limits)
        while True:
            self._check_orders(child)
            self._check_limits()
            usage.check()
            self._folder.cap_log()
            line = child.next_line(timeout_s=_TICK_S)
            if line is EndOfOutput:
                return None
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
        if isinstance(heard, CheckpointLine):
            self._uploads.offer(heard)
            return None
        if isinstance(heard, PhaseChange):
            self._training = heard.phase in TRAINING_PHASES
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
        if self._supervisor.stopping.is_set() and not self._waits_for_checkpoint(child):
            raise WorkerStopping
        if order == "stop" and child is not None and not self._stop_passed_on:
            child.tell("stop")
            self._stop_passed_on = True

    def _waits_for_checkpoint(self, child: Child | None) -> bool:
        """Ask a runner that trains for its state, so that the shutdown costs nothing, and give it a moment."""
        rules = self._supervisor.checkpoints
        if child is None or not rules.every_s or not self._training:
            return False
        if self._last_wanted is None:
            child.tell("checkpoint")
            self._last_wanted = (time.monotonic(), self._uploads.offered)
        asked_at, offered = self._last_wanted
        return self._uploads.kept <= offered and time.monotonic() - asked_at < rules.grace_s

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
        elif (len(self._batch) >= BATCH_LINES and not self._ledger_away) or now - self._batch_since > BATCH_S:
            self._flush()
        if now - self._log_kept > LOG_EVERY_S:
            self._keep_log()

    def _flush(self) -> None:
        """Record what was heard; while the ledger is away it is kept, as long as the lease keeper lets that go on.

        Where only the answer was lost, these events are told twice; none is lost.
        """
        try:
            self._record()
        except SQLAlchemyError as error:
            _log.warning("events of %s wait for the ledger: %s", self._lease.job.id, error)
            self._ledger_away = True

    def _record(self) -> None:
        self._batch_since = time.monotonic()
        if not self._batch and self._newest is None:
            return
        if not self._supervisor.ledger.record(self._lease, self._batch, newest=self._newest):
            raise LeaseLost
        self._batch, self._newest = [], None
        self._ledger_away = False

    def _keep_log(self) -> None:
        self._log_kept = time.monotonic()
        text = self._folder.log_tail(LOG_BYTES)
        if not text:
            return
        try:
            self._supervisor.ledger.keep_log(self._lease, text)
        except SQLAlchemyError as error:
            _log.warning("the log of %s was not kept: %s", self._lease.job.id, error)
