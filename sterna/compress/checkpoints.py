"""Checkpoints of a compression: when one is written, and what it holds beyond the state of the training.

A checkpoint is of one model, one data file and one spec, whose digest it carries. What depends on a clock is written
down, so that who goes on decides as before: the steps that the budget in seconds allowed, the steps that synthesised
inputs were moved for, the seconds that the search has had.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

import torch

from api_schemas import CompressSpec
from api_schemas.events import Message
from sterna.artifact.json_text import expect_integer, expect_object, expect_string, to_text
from sterna.digest import file_digest
from sterna.errors import ArtifactCorrupt, CheckpointRejected
from sterna.method.checkpoint import expect_number, expect_truth, read_checkpoint, state_bytes, write_checkpoint
from sterna.method.run_state import RunState
from sterna.threads import usable_cores

MOST_SHARE: Final = 0.1
"""Of the time that writing checkpoints may take: where one takes long, they are written less often."""
WAIT_SHARE: Final = 0.75
"""Of the interval, from one state to the next: the rest is for writing and storing it, which until then is no use."""
_MOST_STEPS: Final = 2**53
_MOST_THREADS: Final = 4096


@dataclass(frozen=True, slots=True)
class Written:
    """A checkpoint that was just written: its size, digest, and the step before which it stands."""

    size_bytes: int
    sha256: str
    step: int


@dataclass(frozen=True, slots=True)
class Checkpointing:
    """What a caller of `compress` wants of checkpoints.

    Attributes:
        path: where they are written, each in place of the one before; the folder exists.
        every_s: seconds of training that may have to be repeated; more, where writing one takes long.
        resume: a checkpoint to go on from, another file than `path`. One that cannot be used is told and left alone.
        most_bytes: none is written that would be larger.
        wanted: asked before every step whether one is to be written now.
        on_written: hears of each.
    """

    path: Path
    every_s: float
    resume: Path | None = None
    most_bytes: int | None = None
    wanted: Callable[[], bool] = lambda: False
    on_written: Callable[[Written], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Machine:
    """What the last bits of a training depend on.

    Attributes:
        cpu: the instructions that torch's kernels use, such as `AVX2`.
        device: kind of what the network is on.
    """

    torch_version: str
    cpu: str
    device: str
    threads: int

    @classmethod
    def here(cls, device: torch.device) -> Self:
        """Of this process, which computes on a device."""
        cpu = str(torch.backends.cpu.get_cpu_capability())
        return cls(torch_version=str(torch.__version__), cpu=cpu, device=device.type, threads=torch.get_num_threads())


@dataclass(frozen=True, slots=True)
class Course:
    """How a compression went up to a checkpoint, besides the state of its training.

    Attributes:
        inputs: digest of spec, model and data.
        steps: of the plan.
        synthesis_steps: for which synthesised inputs were moved.
        elapsed_s: of the whole, over all attempts. searched_s: of the search.
        out_of_time: the search was ended by the budget.
        machine: where it was.
    """

    inputs: str
    steps: int
    synthesis_steps: int
    elapsed_s: float
    searched_s: float
    out_of_time: bool
    machine: Machine

    @classmethod
    def from_json(cls, members: Mapping[str, object]) -> Self:
        """Read what `asdict` gave.

        Raises:
            ArtifactCorrupt: it did not give that.
        """
        members = expect_object(dict(members), "sterna.about", cls.__slots__)
        machine = expect_object(members["machine"], "machine", Machine.__slots__)
        words = {name: expect_string(machine[name], name) for name in ("torch_version", "cpu", "device")}
        return cls(
            inputs=expect_string(members["inputs"], "inputs"),
            steps=expect_integer(members["steps"], "steps", least=2, most=_MOST_STEPS),
            synthesis_steps=expect_integer(members["synthesis_steps"], "synthesis_steps", least=0, most=_MOST_STEPS),
            elapsed_s=_seconds(members["elapsed_s"]),
            searched_s=_seconds(members["searched_s"]),
            out_of_time=expect_truth(members["out_of_time"], "out_of_time"),
            machine=Machine(
                **words, threads=expect_integer(machine["threads"], "threads", least=1, most=_MOST_THREADS)
            ),
        )


@dataclass(frozen=True, slots=True)
class Resumption:
    """Where to go on: the state of the training, and how it came there."""

    state: RunState
    course: Course


def find_resumption(path: Path, inputs: str) -> Resumption:
    """Read a checkpoint and use as many threads as its writer did, where this process has the cores.

    Args:
        path: of the file, perhaps a stranger's.
        inputs: `inputs_digest` of the compression that is to go on.

    Raises:
        CheckpointRejected: it is damaged, of another version of the method, or of other inputs.
    """
    try:
        checkpoint = read_checkpoint(path)
        course = Course.from_json(checkpoint.about)
    except (ArtifactCorrupt, OSError) as error:
        raise CheckpointRejected(f"the checkpoint cannot be read: {error}") from None
    if course.inputs != inputs:
        raise CheckpointRejected("the checkpoint is of another model, other data or another spec")
    if course.machine.threads <= usable_cores():
        torch.set_num_threads(course.machine.threads)
    return Resumption(checkpoint.state, course)


def inputs_digest(model_path: Path, data_path: Path | None, spec: CompressSpec) -> str:
    """The SHA-256 of all that decides what a compression gives: its files are read for it."""
    data = None if data_path is None else file_digest(data_path)
    inputs = {"model": file_digest(model_path), "data": data, "spec": spec.model_dump(mode="json")}
    return hashlib.sha256(to_text(inputs).encode()).hexdigest()


class Keeper:
    """Writes a checkpoint where one is due; `ternarise` asks it before every step.

    Args:
        wishes: where, how often, how large.
        course: gives the rest of what a checkpoint holds, as it stands.
        tell: hears what whoever sent the job should know.
        resumed: what the training goes on from.
    """

    def __init__(
        self,
        wishes: Checkpointing,
        course: Callable[[], Course],
        tell: Callable[[Message], None],
        resumed: Resumption | None,
    ) -> None:
        self._wishes, self._course, self._tell, self._resumed = wishes, course, tell, resumed
        self._due = time.monotonic() + WAIT_SHARE * wishes.every_s
        self._told: set[str] = set()

    def __call__(self, state: Callable[[], RunState]) -> None:
        """Write the state if it is time, or if somebody wants it now."""
        if self._resumed is not None:
            self._tell(_told(self._resumed, self._course().machine))
            self._resumed = None
        began = time.monotonic()
        if self._wishes.wanted() or began >= self._due:
            written = self._write(state())
            took_s = time.monotonic() - began
            self._due = began + max(WAIT_SHARE * self._wishes.every_s, took_s / MOST_SHARE)
            if written and self._wishes.every_s and took_s > MOST_SHARE * self._wishes.every_s:
                self._tell_once("CHECKPOINTS_LATE", _late(took_s, self._wishes.every_s))

    def _write(self, state: RunState) -> bool:
        """Write a state; whether it could be kept."""
        most, needed = self._wishes.most_bytes, state_bytes(state)
        if most is not None and needed > most:
            self._complain(f"one would have {needed} bytes, at most {most} are allowed")
            return False
        try:
            size_bytes, sha256 = write_checkpoint(self._wishes.path, state, asdict(self._course()))
        except OSError as error:
            # A full disk is no reason to end a training that needs no more of it.
            self._complain(f"the file could not be written: {error.strerror}")
            return False
        self._wishes.on_written(Written(size_bytes, sha256, state.step))
        return True

    def _complain(self, why: str) -> None:
        text = f"no checkpoint is kept, so that the job begins anew if its worker is lost: {why}"
        self._tell_once("NO_CHECKPOINT", text)

    def _tell_once(self, code: str, text: str) -> None:
        if code not in self._told:
            self._told.add(code)
            self._tell(Message(code=code, text=text))


def _late(took_s: float, every_s: float) -> str:
    return (
        f"a checkpoint takes {took_s:.1f} s to write, so one is written every {took_s / MOST_SHARE:.0f} s and not every"
        f" {every_s:g}: as much may have to be repeated if the worker is lost"
    )


def _told(resumed: Resumption, here: Machine) -> Message:
    text = f"going on at step {resumed.state.step}, from the last checkpoint"
    if resumed.course.machine != here:
        text += ", which another kind of machine has written: the last bits of the result may be others"
    return Message(code="RESUMED", text=text)


def _seconds(value: object) -> float:
    seconds = expect_number(value, "seconds")
    if seconds < 0.0:
        raise ArtifactCorrupt("seconds are negative")
    return seconds
