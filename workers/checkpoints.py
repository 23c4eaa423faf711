"""Carries checkpoints of a running job into the blob store, beside the relay of its events and its lease.

One is under way at a time. What the runner says meanwhile waits, the newest alone: an older state is worth nothing.
Nothing that goes wrong here ends a job: the next is due within a minute, and without one the job begins anew.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from obstore.exceptions import BaseError
from sqlalchemy.exc import SQLAlchemyError

from storage import BlobStore, Lease, Ledger
from workers.protocol import CheckpointLine
from workers.work_folder import WorkFolder

TRAINING_PHASES: Final = ("search", "recover")
"""In these a runner can write a checkpoint."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CheckpointRules:
    """How jobs are kept.

    Attributes:
        every_s: seconds of training that may have to be repeated; 0: no checkpoints are made.
        most_bytes: none is kept that is larger.
        grace_s: how long a worker that shuts down waits for a last one.
    """

    every_s: float = 0.0
    most_bytes: int = 8 * 2**30
    grace_s: float = 10.0

    def runner_arguments(self) -> tuple[str, ...]:
        """What the runner is told on its command line."""
        if not self.every_s:
            return ()
        return (f"--checkpoint-s={self.every_s:g}", f"--checkpoint-bytes={self.most_bytes}")


class CheckpointUploads:
    """Stores the checkpoints of one attempt from a thread of its own, within a `with` block.

    When the block ends, one that is under way is waited for, and blobs that the job has let go of are removed.

    Attributes:
        offered: how many checkpoints the runner has told of.
        kept: the number of the newest of them that the ledger knows, from 1; 0 before the first.
    """

    def __init__(self, ledger: Ledger, blobs: BlobStore, lease: Lease, folder: WorkFolder, *, most_bytes: int) -> None:
        self.offered = self.kept = 0
        self._ledger, self._blobs, self._lease, self._folder = ledger, blobs, lease, folder
        self._most_bytes = most_bytes
        self._waiting: tuple[int, CheckpointLine] | None = None
        self._changed = threading.Condition()
        self._ended = False
        self._stored: list[str] = []
        self._thread = threading.Thread(target=self._work, name=f"checkpoints of {lease.job.id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join()
        self._remove_what_is_let_go()

    def rely_on(self, sha256: str) -> None:
        """Says that the attempt goes on from this blob, so that it is removed in its turn."""
        self._stored.append(sha256)

    def offer(self, line: CheckpointLine) -> None:
        """Takes note of a checkpoint and returns at once."""
        with self._changed:
            self.offered += 1
            self._waiting = (self.offered, line)
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or self._waiting is not None)
                if self._ended or self._waiting is None:
                    return
                (number, line), self._waiting = self._waiting, None
            try:
                if self._store(line):
                    self.kept = number
            except (SQLAlchemyError, OSError, BaseError) as error:
                _log.warning("a checkpoint of %s was not kept: %s", self._lease.job.id, error)

    def _store(self, line: CheckpointLine) -> bool:
        sealed = self._folder.seal_checkpoint(line, most_bytes=self._most_bytes)
        if sealed is None:
            _log.warning("%s: out/checkpoint is not what its runner says", self._lease.job.id)
            return False
        path, sha256 = sealed
        self._stored.append(sha256)
        self._ledger.pin(sha256)
        _, size_bytes = self._blobs.put_file(path)
        path.unlink()
        kept = self._ledger.keep_checkpoint(self._lease, sha256, size_bytes=size_bytes, step=line.step)
        self._remove_what_is_let_go()
        return kept

    def _remove_what_is_let_go(self) -> None:
        """Removes blobs that the ledger no longer refers to; what fails is left to the upkeep."""
        try:
            self._ledger.collect(self._blobs, grace_s=0.0, only=self._stored)
            self._stored = self._stored[-1:]
        except (SQLAlchemyError, OSError, BaseError) as error:
            _log.warning("checkpoints of %s were not removed: %s", self._lease.job.id, error)
