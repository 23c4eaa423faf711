"""Waiting for the end of a job or of a sweep, through restarts of the service and through proxies.

A job is waited for by its stream of events. Each time a stream breaks the job is asked for, with patience, and the next
stream goes on after the last event (`Last-Event-ID`). Where there is no stream, and in the last seconds before a
deadline, which a silent stream would miss, long polls take its place.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from typing import Final
from urllib.parse import quote

from api_schemas import TERMINAL_STATES, Job
from api_schemas.events import StateChange
from api_schemas.sweeps import Sweep
from sterna.client.connection import PATIENCE_S, Connection
from sterna.client.streams import POLL_S, SILENCE_S, EventStream
from sterna.errors import WaitTimeout

LONG_POLL_S: Final = 20.0
SHOWN_POLL_S: Final = 1.0
"""A long poll ends when the state or the phase changes; progress that somebody watches is asked for more often."""
_SWEEP_POLL_S: Final = 2.0

OnJob = Callable[[Job], None]
OnSweep = Callable[[Sweep], None]


class JobWait:
    """One wait for one job.

    Args:
        connection: to the service.
        job_id: which.
        timeout_s: patience; None: for ever, as long as the service answers within half a minute of tries.
        on_update: hears how the job stands, about once a second while it moves.
    """

    def __init__(self, connection: Connection, job_id: str, timeout_s: float | None, on_update: OnJob | None) -> None:
        self._connection = connection
        self._path = f"/v1/jobs/{quote(job_id, safe='')}"
        self._deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self._on_update = on_update
        self._timeout_s = timeout_s
        self._stream = EventStream(connection, f"{self._path}/events")
        self._after = 0

    def final_job(self) -> Job:
        """The job, once it is succeeded, failed or cancelled.

        Raises:
            WaitTimeout: it is none of these in time.
        """
        wait_s = 0.0
        while True:
            job = self._look(wait_s)
            if job.state in TERMINAL_STATES:
                return job
            if self._deadline is not None and self._left_s() <= 0:
                raise WaitTimeout(
                    f"{job.id} is still {job.state} after {self._timeout_s:g} s",
                    hint=f"It goes on: `sterna wait {job.id}`.",
                )
            if self._may_stream():
                wait_s = 0.0
                self._listen()
            else:
                wait_s = LONG_POLL_S if self._on_update is None else SHOWN_POLL_S

    def _look(self, wait_s: float) -> Job:
        """One poll, no longer than the deadline; a service that answers at once is not asked again at once."""
        left_s = PATIENCE_S if self._deadline is None else self._left_s()
        began = time.monotonic()
        job = self._connection.get(self._path, Job, wait_s=min(left_s, wait_s), patience_s=left_s)
        if self._on_update is not None:
            self._on_update(job)
        if wait_s and job.state not in TERMINAL_STATES:
            time.sleep(max(0.0, min(POLL_S, left_s) - (time.monotonic() - began)))
        return job

    def _listen(self) -> None:
        """Follow one stream until the job's state changes, the stream ends or the deadline is near."""
        looked = time.monotonic()
        with closing(self._stream.read(self._after)) as events:
            for event in events:
                if event is not None:
                    self._after = event.id
                    if isinstance(event.body, StateChange) and event.body.state in TERMINAL_STATES:
                        return
                    if self._on_update is not None and time.monotonic() - looked >= SHOWN_POLL_S:
                        looked = time.monotonic()
                        self._look(0.0)
                if not self._may_stream():
                    return

    def _may_stream(self) -> bool:
        return self._stream.available and (self._deadline is None or self._left_s() > SILENCE_S)

    def _left_s(self) -> float:
        assert self._deadline is not None
        return max(0.0, self._deadline - time.monotonic())


def finished_sweep(
    connection: Connection, sweep_id: str, *, timeout_s: float | None, on_update: OnSweep | None
) -> Sweep:
    """The sweep, once each of its jobs has ended; arguments as of `JobWait`.

    Raises:
        WaitTimeout: they have not in time.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        left_s = PATIENCE_S if deadline is None else max(0.0, deadline - time.monotonic())
        sweep = connection.get(f"/v1/sweeps/{quote(sweep_id, safe='')}", Sweep, patience_s=left_s)
        if on_update is not None:
            on_update(sweep)
        if sweep.state == "finished":
            return sweep
        if deadline is not None and time.monotonic() >= deadline:
            ended = sum(point.state in TERMINAL_STATES for point in sweep.points)
            raise WaitTimeout(
                f"{ended} of the {len(sweep.points)} jobs of {sweep_id} have ended when the patience ends",
                hint=f"They go on: `sterna sweep wait {sweep_id}`.",
            )
        time.sleep(min(_SWEEP_POLL_S, left_s))
