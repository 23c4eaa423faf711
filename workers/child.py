"""One child process: started with next to nothing in its environment, read line by line, ended for certain.

Its output is read by a thread, into a queue of bounded length: a child that talks faster than the ledger writes waits.
The output ends with the child, even where something that it has left behind holds it open; nothing that the child has
said is lost with that, however late the thread gets its turn.
It leads a session of its own: Ctrl-C at a terminal reaches the worker alone, and a kill reaches its children too.
"""

from __future__ import annotations

import os
import queue
import select
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from sterna.threads import calm_threads

KEPT_VARIABLES: Final = (
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "MKL_NUM_THREADS",
    "NVIDIA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "PATH",
    "TZ",
)
_CODE_ROOT = Path(__file__).resolve().parents[1]
# Times the longest line, this is what a worker holds of a child that talks faster than anybody listens.
_WAITING_LINES = 8
_CHUNK_BYTES = 2**16
_TICK_S = 0.2


class EndOfOutput:
    """Put in place of a line when no more will come."""


class OverlongLine:
    """Put in place of a line that is longer than allowed."""


def scrubbed_environment(folder: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a child may know: where programs and libraries are, and its own folder. No keys, no addresses.

    Code is found where this package lies, and never in the folder that holds a stranger's files.

    Args:
        folder: the child's, as the child sees it.
        environ: of which a few variables are kept.
    """
    kept = {name: environ[name] for name in KEPT_VARIABLES if name in environ}
    own = {"HOME": str(folder / "tmp"), "TMPDIR": str(folder / "tmp")}
    python = {"PYTHONPATH": str(_CODE_ROOT), "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}
    calm_threads(kept)
    return kept | own | python


class Child:
    """A running child for the length of a `with` block; at its end the child and all its children are gone.

    Args:
        command: what to start.
        folder: where.
        environment: all that it knows.
        log: where its standard error goes.
        line_bytes: longest line that it may say.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path, *, line_bytes: int
    ) -> None:
        self._line_bytes = line_bytes
        self._lines: queue.Queue[bytes | type[EndOfOutput] | type[OverlongLine]] = queue.Queue(_WAITING_LINES)
        self._closing = threading.Event()
        self._gone = False
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=folder,
                env=environment,
                start_new_session=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input: IO[bytes] = self._process.stdin
        self._output: IO[bytes] = self._process.stdout
        self._reader = threading.Thread(target=self._read, name=f"output of {self.pid}", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._gone:
            return  # its number may be another's by now
        self._gone = True
        self._closing.set()
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._reader.join()
        _close_quietly(self._input)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def next_line(self, *, timeout_s: float) -> bytes | type[EndOfOutput] | type[OverlongLine] | None:
        """The next line without waiting longer than that; None when there is none yet."""
        try:
            return self._lines.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def tell(self, word: str) -> None:
        """Write one line to its standard input; one that has already ended does not hear it."""
        try:
            self._input.write(word.encode() + b"\n")
            self._input.flush()
        except (BrokenPipeError, ValueError):
            return

    def end(self, *, grace_s: float) -> int:
        """Ask it to end, kill it where it does not, and give its exit code (−N after signal N)."""
        self._signal(signal.SIGTERM)
        return self.wait(grace_s=grace_s)

    def wait(self, *, grace_s: float) -> int:
        """Give its exit code (−N after signal N); one that is not gone after the grace is killed."""
        try:
            return self._process.wait(timeout=grace_s)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            return self._process.wait()

    def exited(self) -> bool:
        """Whether the process is gone, even where something still holds its output open."""
        return self._process.poll() is not None

    def _signal(self, number: signal.Signals) -> None:
        """Signal the whole session; a group keeps its number as long as it has members."""
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return

    def _read(self) -> None:
        """Read lines until the output ends; runs in a thread, which alone may close what it may still be reading."""
        with self._output as output:
            for line in self._lines_of(output.fileno()):
                overlong = len(line) > self._line_bytes
                if not self._put(OverlongLine if overlong else line) or overlong:
                    break
        self._put(EndOfOutput)

    def _lines_of(self, output: int) -> Iterator[bytes]:
        """Whole lines, and the beginning of one that is too long; for half a line the exit code speaks better."""
        begun = b""
        while chunk := self._chunk(output):
            *whole, begun = (begun + chunk).split(b"\n")
            yield from (line + b"\n" for line in whole)
            if len(begun) > self._line_bytes:
                yield begun

    def _chunk(self, output: int) -> bytes:
        """What comes next; nothing at the end of the output, or once the child is gone and all was read."""
        poll = select.poll()
        poll.register(output, select.POLLIN)
        while not self._closing.is_set():
            # Asked first: what it has said is in the pipe by then.
            gone = self.exited()
            if poll.poll(0 if gone else _TICK_S * 1000):
                return os.read(output, _CHUNK_BYTES)
            if gone:
                break
        return b""

    def _put(self, item: bytes | type[EndOfOutput] | type[OverlongLine]) -> bool:
        while not self._closing.is_set():
            try:
                self._lines.put(item, timeout=_TICK_S)
            except queue.Full:
                continue
            return True
        return False


def _close_quietly(pipe: IO[bytes]) -> None:
    """Close a pipe whose other end may be gone with words unread."""
    try:
        pipe.close()
    except (BrokenPipeError, ValueError):
        return
