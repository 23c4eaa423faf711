"""The child process of one job: reads the spec, compresses, and says how it goes. See `workers.protocol`.

    python -m workers.runner WORKDIR [--memory-bytes N] [--cpu-s N] [--file-bytes N] [--processes N]
                                     [--checkpoint-s N --checkpoint-bytes N] [--wait]

It limits itself before it reads anything, and it is the one module of this package that may load torch. Its standard
output belongs to the protocol: whatever a library prints goes to standard error, which the supervisor keeps as a log.
"""

from __future__ import annotations

import argparse
import errno
import math
import os
import resource
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Literal

from api_schemas import CompressSpec, JobErrorInfo, Result
from api_schemas.events import EventBody, StateChange
from sterna.errors import DiskLimit, JobError, OutOfMemory, RunnerCrashed, SternaError, StorageUnavailable
from sterna.hardening import refuse_new_privileges
from workers.protocol import CheckpointLine, ErrorLine, Line, ResultLine, format_line

if TYPE_CHECKING:
    from sterna.compress.checkpoints import Checkpointing, Written

Order = Literal["continue", "stop", "cancel"]
Compress = Callable[[Path, Callable[[EventBody], None], Callable[[], Order]], Result]
CPU_SPARE_S = 5
_READ_BYTES: Final = 4096
ORPHAN_GRACE_S = 10.0
"""How long a runner whose supervisor is gone may take to end by itself."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job of one work folder.

    Returns:
        The exit code: 0, or that of the error.
    """
    options = _parse(arguments)
    refuse_new_privileges()
    limit_resources(
        {
            resource.RLIMIT_DATA: options.memory_bytes,
            resource.RLIMIT_CPU: None if options.wait else options.cpu_s,
            resource.RLIMIT_FSIZE: options.file_bytes,
            resource.RLIMIT_NPROC: options.processes,
            resource.RLIMIT_CORE: 0,
        }
    )
    voice = Voice(_take_standard_output())
    workdir: Path | None = options.workdir
    if options.wait:
        workdir = wait_for_job(sys.stdin.fileno())
        if workdir is None:
            return 0
        if options.cpu_s is not None:
            limit_resources({resource.RLIMIT_CPU: options.cpu_s + math.ceil(time.process_time())})
    assert workdir is not None
    orders = Orders(sys.stdin.fileno())
    keeping = Keeping(options.checkpoint_s, options.checkpoint_bytes, orders.checkpoint_wanted, voice.say)
    return run(workdir, voice, orders, partial(compress_folder, keeping=keeping))


def wait_for_job(source: int) -> Path | None:
    """Load all that a job needs, then wait for the line `start FOLDER`.

    Args:
        source: descriptor of a pipe, of which nothing beyond that line is read.

    Returns:
        The folder, which may have got another name since the start; None where no job will come.
    """
    from sterna.compress import warm_up  # noqa: PLC0415  loads torch, after the limits are set

    warm_up()
    heard = b""
    while not heard.endswith(b"\n"):
        byte = os.read(source, 1)
        if not byte:
            return None
        heard += byte
    word, _, folder = os.fsdecode(heard.removesuffix(b"\n")).partition(" ")
    if word != "start":
        return None
    workdir = Path(folder)
    os.environ["HOME"] = os.environ["TMPDIR"] = str(workdir / "tmp")
    tempfile.tempdir = None  # it is found anew
    return workdir


def limit_resources(limits: Mapping[int, int | None]) -> None:
    """Set the limits of this process, for good; None leaves one as it is.

    Memory is RLIMIT_DATA and not RLIMIT_AS: CUDA reserves hundreds of GiB of addresses that it never uses. The hard
    limit of processor time lies a little above the soft one, or the kernel would kill without saying why (SIGXCPU).
    """
    for kind, wanted in limits.items():
        if wanted is None:
            continue
        hard = resource.getrlimit(kind)[1]
        spare = CPU_SPARE_S if kind == resource.RLIMIT_CPU else 0
        last = wanted + spare if hard == resource.RLIM_INFINITY else min(wanted + spare, hard)
        resource.setrlimit(kind, (min(wanted, last), last))


class Voice:
    """Says lines of the protocol, one at a time, whichever thread speaks."""

    def __init__(self, output: IO[bytes]) -> None:
        self._output = output
        self._mutex = threading.Lock()

    def say(self, line: Line) -> None:
        """Write one line at once."""
        with self._mutex:
            self._output.write(format_line(line))
            self._output.flush()

    def event(self, body: EventBody) -> None:
        """Say an event. States are the supervisor's to tell."""
        assert not isinstance(body, StateChange)
        self.say(body)


class Orders:
    """Listens for the supervisor's orders in a thread; `current()` is what the training loop asks between steps.

    Args:
        source: descriptor of a pipe. The thread reads it itself, for it may be waiting there when the process ends:
            within `sys.stdin` it would hold a lock that the interpreter wants at its end, and aborts without.
    """

    def __init__(self, source: int) -> None:
        self._order: Order = "continue"
        self._checkpoint = threading.Event()
        threading.Thread(target=self._listen, args=(source,), name="orders", daemon=True).start()

    def current(self) -> Order:
        """The latest order; a cancel is never taken back."""
        return self._order

    def checkpoint_wanted(self) -> bool:
        """Whether a checkpoint was asked for since this was asked last."""
        wanted = self._checkpoint.is_set()
        if wanted:
            self._checkpoint.clear()
        return wanted

    def _listen(self, source: int) -> None:
        unread = b""
        while heard := os.read(source, _READ_BYTES):
            *lines, unread = (unread + heard).split(b"\n")
            for line in lines:
                self._obey(line)
        self._order = "cancel"
        time.sleep(ORPHAN_GRACE_S)
        # Nobody is left to end a runner that does not look at its orders.
        os._exit(RunnerCrashed.exit_code)

    def _obey(self, line: bytes) -> None:
        if line == b"cancel":
            self._order = "cancel"
        elif line == b"stop" and self._order == "continue":
            self._order = "stop"
        elif line == b"checkpoint":
            self._checkpoint.set()


def run(workdir: Path, voice: Voice, orders: Orders, compress: Compress) -> int:
    """Do the work and say its result or its error.

    Returns:
        The exit code.
    """
    try:
        result = compress(workdir, voice.event, orders.current)
    except SternaError as error:
        return _say_error(voice, error)
    except Exception as error:  # noqa: BLE001  the edge of the process: whatever went wrong, the supervisor is told its name
        traceback.print_exc()
        return _say_error(voice, _name_unexpected(error))
    voice.say(ResultLine(result=result))
    return 0


@dataclass(frozen=True, slots=True)
class Keeping:
    """Checkpoints as the command line asks for them.

    Attributes:
        every_s: seconds of training that may have to be repeated; 0: none is written.
        most_bytes: none is written that would be larger.
        wanted: whether one is to be written now.
        say: tells the supervisor.
    """

    every_s: float
    most_bytes: int | None
    wanted: Callable[[], bool]
    say: Callable[[Line], None]

    def within(self, workdir: Path) -> Checkpointing | None:
        """For the job of a work folder; None where there is neither one to go on from nor any to write."""
        given = workdir / "checkpoint"
        if not self.every_s and not given.exists():
            return None
        from sterna.compress.checkpoints import Checkpointing  # noqa: PLC0415  loads torch, after the limits are set

        return Checkpointing(
            workdir / "out" / "checkpoint",
            every_s=self.every_s or math.inf,
            resume=given if given.exists() else None,
            most_bytes=self.most_bytes,
            wanted=self.wanted,
            on_written=self._tell,
        )

    def _tell(self, written: Written) -> None:
        self.say(CheckpointLine(sha256=written.sha256, bytes=written.size_bytes, step=written.step))


def compress_folder(
    workdir: Path, on_event: Callable[[EventBody], None], control: Callable[[], Order], *, keeping: Keeping
) -> Result:
    """Compress what lies in a work folder."""
    from sterna.compress import compress  # noqa: PLC0415  loads torch, after the limits are set

    spec = CompressSpec.model_validate_json((workdir / "spec.json").read_bytes())
    data = workdir / "data"
    return compress(
        workdir / "model",
        data if data.exists() else None,
        spec,
        workdir / "out",
        on_event=on_event,
        control=control,
        checkpointing=keeping.within(workdir),
    )


def _say_error(voice: Voice, error: SternaError) -> int:
    voice.say(ErrorLine(error=JobErrorInfo(code=error.code, message=error.detail, hint=error.hint)))
    return error.exit_code


def _name_unexpected(error: Exception) -> JobError:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "allocate memory" in str(error):
        return OutOfMemory(
            "the network and its data need more memory than one job may use",
            hint="Use a worker with more memory, or a smaller model or less data.",
        )
    if isinstance(error, ModuleNotFoundError):
        return RunnerCrashed(
            f"the worker lacks {error.name}, without which it can do no job",
            hint="Its operator has to install the extra 'worker': pip install 'sterna[worker]'.",
        )
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return DiskLimit("a file of the job would be larger than one may be", hint="Ask for fewer exports.")
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageUnavailable(
            "the worker's disk is full", hint="Submit the job again once there is room on the worker's disk."
        )
    return RunnerCrashed(
        f"the runner met an unexpected {type(error).__name__}",
        hint="The worker's log has the details; if it happens again with the same files, please report it.",
    )


def _take_standard_output() -> IO[bytes]:
    """Keep the real standard output for the protocol and let everything else that prints go to standard error."""
    private = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(private, "wb")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m workers.runner", description="Run the job of one work folder.")
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--memory-bytes", type=int)
    parser.add_argument("--cpu-s", type=int)
    parser.add_argument("--file-bytes", type=int)
    parser.add_argument("--processes", type=int)
    parser.add_argument("--checkpoint-s", type=float, default=0.0)
    parser.add_argument("--checkpoint-bytes", type=int)
    parser.add_argument("--wait", action="store_true", help="load everything, then wait for a job on standard input")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
