"""Keeps a lease alive from a thread of its own, and carries orders back.

Copying a large model in or an artifact out may take longer than a lease lasts, so renewal cannot wait for the loop that
watches the child. The answer to each renewal is how the job's flags in the ledger (cancel, stop) reach the worker.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self, TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError

from storage import Lease, Ledger

Order = Literal["continue", "stop", "cancel", "lost"]
ORDER_DELAY_S = 2.0
"""A cancel or stop is seen this soon, however long the lease is."""
MOST_PATIENCE_S = 600.0
"""With a ledger that renews the lease and yet does not take what is written."""
_TICK_S = 0.5
_T = TypeVar("_T")

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

    def patient(self, work: Callable[[], _T], *, wait: Callable[[float], None] = time.sleep) -> _T:
        """Do what asks the ledger or writes to it; while that is away, again and again as long as the lease lasts.

        Args:
            work: may be done twice. Where only the answer of one try was lost, an end that was written down stands:
                the next try finds the lease gone.
            wait: waits so long, or raises where there is no use in waiting.

        Raises:
            OperationalError, InterfaceError: the lease is lost, and the ledger still away.
        """
        deadline = time.monotonic() + MOST_PATIENCE_S
        while True:
            try:
                return work()
            except (OperationalError, InterfaceError) as error:
                if self.order == "lost" or time.monotonic() > deadline:
                    raise
                _log.warning("%s waits for the ledger: %s", self._lease.job.id, error)
            wait(_TICK_S)

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
