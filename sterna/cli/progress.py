"""Progress on standard error: of a compression, of a sweep, of a transfer.

A bar at a terminal; elsewhere a line a phase and every 10 s, and nothing for sweeps and transfers.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final, Self

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from api_schemas import TERMINAL_STATES, Job, ProgressPoint
from api_schemas.events import EventBody, Message, PhaseChange
from api_schemas.sweeps import Sweep
from sterna.cli.output import stderr_console

LINE_S: Final = 10.0
"""Where there is no terminal, a long phase says how it goes so often."""


class LiveBar:
    """A bar on standard error for the length of a `with` block; nothing where that is no terminal."""

    def __init__(self, description: str, *columns: ProgressColumn) -> None:
        self._console = stderr_console()
        self._live = self._console.is_terminal
        self._bar = Progress(
            TextColumn("{task.description:<10}", markup=False),
            BarColumn(),
            *columns,
            console=self._console,
            disable=not self._live,
        )
        self._task = self._bar.add_task(description, total=1.0, figures="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


class JobProgress(LiveBar):
    """Shows step, sparsity, α and loss."""

    def __init__(self) -> None:
        figures = TextColumn("{task.fields[figures]}", markup=False)
        super().__init__("starting", TaskProgressColumn(), figures, TimeElapsedColumn())
        self._phase = ""
        self._last_line = time.monotonic()

    def on_event(self, body: EventBody) -> None:
        """Show an event of a compression in this process."""
        if isinstance(body, PhaseChange):
            self._enter(body.phase)
        elif isinstance(body, ProgressPoint):
            self._show(body.step / max(body.steps, 1), point_text(body))
        elif isinstance(body, Message):
            self._console.print(Text.assemble((f"{body.code}:", "yellow"), f" {body.text}"))

    def on_job(self, job: Job) -> None:
        """Show how a job of a service stands."""
        self._enter(job.phase or job.state)
        latest = ProgressPoint(step=job.progress.step, steps=job.progress.steps or 0, **job.latest.model_dump())
        self._show(job.progress.fraction, point_text(latest) if latest.steps else "")

    def _enter(self, phase: str) -> None:
        if phase == self._phase:
            return
        self._phase = phase
        self._bar.update(self._task, description=phase)
        if not self._live:
            self._print(phase)

    def _print(self, line: str) -> None:
        self._last_line = time.monotonic()
        self._console.print(line, markup=False)

    def _show(self, fraction: float, figures: str) -> None:
        self._bar.update(self._task, completed=fraction, figures=figures)
        if figures and not self._live and time.monotonic() - self._last_line >= LINE_S:
            self._print(f"{self._phase}  {fraction:.0%}  {figures}")


class SweepProgress(LiveBar):
    """Shows how many of a sweep's jobs have ended."""

    def __init__(self) -> None:
        super().__init__("sweep", TextColumn("{task.fields[figures]}", markup=False), TimeElapsedColumn())

    def on_sweep(self, sweep: Sweep) -> None:
        """Show how a sweep stands."""
        ended = sum(point.state in TERMINAL_STATES for point in sweep.points)
        figures = f"{ended} of {len(sweep.points)} jobs"
        self._bar.update(self._task, completed=ended, total=len(sweep.points), figures=figures)


class TransferProgress(LiveBar):
    """Shows bytes on their way."""

    def __init__(self, description: str) -> None:
        super().__init__(description, DownloadColumn(), TransferSpeedColumn())

    def on_bytes(self, done: int, total: int) -> None:
        """Show how many bytes have gone; one file after another may go."""
        self._bar.update(self._task, completed=done, total=total)


class CountProgress(LiveBar):
    """Shows how many of how many are done."""

    def __init__(self, description: str) -> None:
        super().__init__(description, MofNCompleteColumn(), TimeElapsedColumn())

    def on_count(self, done: int, total: int) -> None:
        """Show how many are done."""
        self._bar.update(self._task, completed=done, total=total)


def point_text(point: ProgressPoint) -> str:
    """`step 40/400  zeros 70.00%  α 0.512  loss 0.310`; what is not known is left out."""
    words = [f"step {point.step}/{point.steps}"]
    if point.sparsity is not None:
        words.append(f"zeros {point.sparsity:.2%}")
    if point.alpha is not None:
        words.append(f"α {point.alpha:.3f}")
    if point.loss is not None:
        words.append(f"loss {point.loss:.4g}")
    if point.metric is not None:
        words.append(f"{point.metric_name or 'metric'} {point.metric:.4g}")
    return "  ".join(words)
