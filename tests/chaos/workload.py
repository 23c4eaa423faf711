"""What is asked of the installation: jobs of a few kinds, sent over HTTP by several clients while it is hurt."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, Literal

import numpy as np
import torch
from torch import nn

from sterna.client import Client
from sterna.errors import Conflict, RequestInProgress, ServiceUnavailable, SternaError

Wish = Literal["", "cancel", "stop"]
Fate = Literal["accepted", "unanswered"]
SHORT: Final = ("short-0.5", "short-0.7")
LONG: Final = ("long-0.6", "long-0.8")
LASTING: Final = "lasting-0.6"
"""Still trains after three intervals between checkpoints on a fast machine that does nothing else."""
_EPOCHS: Final = {"short": 2, "long": 1500, "lasting": 6000}
"""Of six steps each: a long job trains for some seconds, long enough to be killed in the middle."""


@dataclass(frozen=True, slots=True)
class Files:
    """What every job works on."""

    model: Path
    data: Path


@dataclass(slots=True)
class Submission:
    """One job that somebody asked for.

    Attributes:
        label: of this job alone.
        case: which spec.
        wish: what else was asked of it.
        fate: whether the service ever answered; if it did not, there may be a job or not.
        job_id: empty where it did not.
        granted: whether the service said yes to the wish.
    """

    label: str
    case: str
    wish: Wish = ""
    fate: Fate = "unanswered"
    job_id: str = ""
    granted: bool = False


@dataclass
class Record:
    """What the clients saw.

    Attributes:
        repeated: requests that were sent again, by the error that was the reason.
    """

    submissions: list[Submission] = field(default_factory=list)
    repeated: Counter[str] = field(default_factory=Counter)
    mutex: threading.Lock = field(default_factory=threading.Lock)

    def accepted(self) -> list[Submission]:
        """Those that the service answered."""
        with self.mutex:
            return [one for one in self.submissions if one.fate == "accepted"]


def write_files(folder: Path, *, seed: int = 0) -> Files:
    """A small untrained network and its data: for tests of the way and not of the result."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4))
    exported = torch.export.export(network, (torch.zeros(3, 16),), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.export.save(exported, folder / "network.pt2")
    inputs = np.random.default_rng(0).standard_normal((512, 16), dtype=np.float32)
    np.savez(folder / "network.npz", input=inputs, target=inputs[:, :4].argmax(1))
    return Files(folder / "network.pt2", folder / "network.npz")


def spec_of(case: str) -> dict[str, object]:
    """The spec of a case; equal specs must give equal files."""
    length, target = case.split("-")
    return {"target_sparsity": float(target), "budget": {"epochs": _EPOCHS[length]}, "seed": 7}


def plan(random: Random, jobs: int) -> list[Submission]:
    """So many jobs in an order that the seed decides: one in four long, one in ten cancelled, one in ten stopped."""
    planned = []
    for n in range(jobs):
        case = random.choice(LONG if n % 4 == 0 else SHORT)
        wish: Wish = {3: "cancel", 8: "stop"}.get(n % 10, "")
        planned.append(Submission(f"{n:04d}", case, wish))
    random.shuffle(planned)
    return planned


class Clients:
    """Threads that submit what was planned, each with a client of its own, and ask for a cancel or a stop now and then.

    Args:
        url: of the service.
        files: what every job works on.
        planned: jobs, in order.
        record: where it is written down.
        may_submit: asked before each submission, until it says yes.
        seed: of the pauses.
    """

    def __init__(
        self,
        url: str,
        files: Files,
        planned: list[Submission],
        record: Record,
        may_submit: Callable[[], bool],
        *,
        seed: int,
        count: int = 3,
    ) -> None:
        self._url, self._files, self._record, self._may_submit = url, files, record, may_submit
        self._planned = planned[::-1]
        self._threads = [
            threading.Thread(target=self._work, args=(Random(f"{seed}-{n}"),), name=f"client {n}", daemon=True)
            for n in range(count)
        ]

    def start(self) -> None:
        """Let them begin."""
        for thread in self._threads:
            thread.start()

    def are_done(self) -> bool:
        """Whether everything was submitted."""
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self, random: Random) -> None:
        with Client(self._url, on_trouble=self._note) as client:
            while True:
                with self._record.mutex:
                    if not self._planned:
                        return
                    submission = self._planned.pop()
                    self._record.submissions.append(submission)
                while not self._may_submit():
                    time.sleep(0.2)
                self._submit(client, submission, random)

    def _submit(self, client: Client, submission: Submission, random: Random) -> None:
        labels = {"n": submission.label}
        try:
            job = client.submit(self._files.model, self._files.data, spec_of(submission.case), labels=labels)
        except (ServiceUnavailable, RequestInProgress):
            # Its patience is at an end. Somebody would now ask again, which is a new submission under a new label.
            with self._record.mutex:
                self._planned.append(Submission(f"{submission.label}b", submission.case, submission.wish))
            return
        submission.job_id = job.id
        submission.fate = "accepted"
        if submission.wish:
            time.sleep(random.uniform(0, 12))
            submission.granted = self._ask(client, submission)

    def _ask(self, client: Client, submission: Submission) -> bool:
        try:
            if submission.wish == "cancel":
                client.cancel(submission.job_id)
            else:
                self._wait_until_it_runs(client, submission.job_id)
                client.stop(submission.job_id)
        except (Conflict, ServiceUnavailable):
            return False
        return True

    def _wait_until_it_runs(self, client: Client, job_id: str) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until and client.job(job_id).state == "queued":
            time.sleep(0.2)

    def _note(self, error: SternaError, _left_s: float) -> None:
        with self._record.mutex:
            self._record.repeated[type(error).__name__] += 1
