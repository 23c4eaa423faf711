"""Whether keys are needed: yes from the first one on, also when it is made while the service runs."""

from __future__ import annotations

import time

from starlette.concurrency import run_in_threadpool

from storage import Ledger

_LOOK_EVERY_S = 1.0


class KeyPolicy:
    """What this process knows of it.

    Attributes:
        needed: whether a key is needed; once it is, it stays so.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._looked_at = time.monotonic()
        self.needed = ledger.has_keys()

    async def look(self) -> bool:
        """Whether a key is needed now, as known within the last second."""
        if not self.needed and time.monotonic() - self._looked_at > _LOOK_EVERY_S:
            self._looked_at = time.monotonic()
            self.needed = await run_in_threadpool(self._ledger.has_keys)
        return self.needed
