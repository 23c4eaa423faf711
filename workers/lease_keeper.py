"""Keeps a lease alive from a thread of its own, and carries orders back.

Copying a large model in or an artifact out may take longer than a lease lasts, so renewal cannot wait for the loop that
watches the child. The answer to each renewal is how the job's flags in the ledger (cancel, stop) reach the worker.
"""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType
from typing import Literal, Self

from sqlalchemy.exc import SQLAlchemyError

from storage import Lease, Ledger

Order = Literal["continue", "stop", "cancel", "lost"]
ORDER_DELAY_S = 2.0
"""A cancel or stop is seen this soon, however long the lease is."""

_log = logging.getLogger(__name__)


class LeaseKeeper:
    """Renews one lease every third of its length, within a `with` block.

    Attributes:
        order: what the ledger answered last; `lost` once the lease belongs to nobody or to another worker, or could not
            be renewed within its length.
    """

    def __init__(self, ledger: Ledger, lease: Lease, *, lease_s: float) -> None:
        self.order: Order = "continue"
        self._ledger = ledger
        self._lease = lease
        self._lease_s = lease_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease of {lease.job.id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _keep(self) -> None:
        renewed_at = time.monotonic()
        interval_s = min(self._lease_s / 3, ORDER_DELAY_S)
        while self.order != "lost" and not self._ended.wait(interval_s):
            asked_at = time.monotonic()
            try:
                answer = self._ledger.renew(self._lease, lease_s=self._lease_s)
            except SQLAlchemyError as error:
                # The ledger may be back before the lease runs out; until then the job goes on.
                _log.warning("could not renew the lease of %s: %s", self._lease.job.id, error)
                if time.monotonic() - renewed_at > self._lease_s:
                    self.order = "lost"
                continue
            self.order = answer or "lost"
            renewed_at = asked_at
