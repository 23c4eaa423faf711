"""What the routes work with: settings, ledger, blobs and queue, opened when the app starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from anyio import CapacityLimiter
from fastapi import Depends, Request

from service.job_reader import JobReader
from service.key_policy import KeyPolicy
from service.metrics import Metrics
from service.queue import Queue
from service.rates import Rates
from storage import BlobStore, Ledger, Settings
from storage.opening import open_blobs, open_ledger

# Reading a model costs processor time and memory; more at a time would make every other request wait.
_READERS = 2


@dataclass(frozen=True, slots=True)
class Backends:
    """One of each per process; all are safe to use from several threads.

    Attributes:
        readers: how many models may be read at a time.
        keys: whether callers need one.
        rates: how often they may call.
        metrics: what this process has answered.
        jobs: how they stand.
    """

    settings: Settings
    ledger: Ledger
    blobs: BlobStore
    queue: Queue
    readers: CapacityLimiter
    keys: KeyPolicy
    rates: Rates
    metrics: Metrics
    jobs: JobReader

    @classmethod
    @contextmanager
    def opened(cls, settings: Settings) -> Iterator[Backends]:
        """Opens everything for the length of the block.

        Raises:
            SetupError: a setting cannot be used, or nobody answers at an address.
        """
        ledger = open_ledger(settings)
        queue = Queue(settings)
        try:
            yield cls(
                settings,
                ledger,
                open_blobs(settings),
                queue,
                CapacityLimiter(_READERS),
                KeyPolicy(ledger),
                Rates(settings.requests_per_minute),
                Metrics(ledger, settings),
                JobReader(ledger),
            )
        finally:
            queue.close()
            ledger.close()


async def _backends_of(request: Request) -> Backends:
    backends = request.app.state.backends
    assert isinstance(backends, Backends)
    return backends


TheBackends = Annotated[Backends, Depends(_backends_of)]
