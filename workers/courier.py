"""Delivers what webhooks are to be told: takes due rows from the outbox, signs and sends them, reports how it went.

Signed as Standard Webhooks has it: `webhook-id` is the delivery's and stays the same, `webhook-timestamp` is the try's,
`webhook-signature` has one signature for each secret that counts. Any 2xx is an arrival; 410 means never again; the
rest is tried later.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final

import httpx
from sqlalchemy.exc import SQLAlchemyError
from standardwebhooks import Webhook as Signer

from storage.public_addresses import AddressRefused
from storage.webhooks import Parcel
from workers.context import WorkerContext
from workers.outbound import TIMEOUT_S, post

HANDS: Final = 4
"""How many deliveries are on their way at once from one worker."""
HOLD_S: Final = 6 * TIMEOUT_S
_GONE: Final = 410
_log = logging.getLogger(__name__)


class Courier:
    """Delivers beside the jobs, so that news do not wait for a training that takes hours."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._pool = ThreadPoolExecutor(HANDS, thread_name_prefix="courier")
        self._busy = 0

    def look(self) -> None:
        """Take what is due, as much as there are free hands, and send it; returns at once."""
        free = HANDS - self._busy
        if free <= 0:
            return
        for parcel in self._context.ledger.take_deliveries(limit=free, hold_s=HOLD_S):
            self._busy += 1
            self._pool.submit(self._deliver, parcel).add_done_callback(self._done)

    def close(self) -> None:
        """Stop; what was taken and not sent is due again for whoever comes."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _done(self, _: object) -> None:
        self._busy -= 1

    def _deliver(self, parcel: Parcel) -> None:
        try:
            deliver(self._context, parcel)
        except SQLAlchemyError as error:
            _log.warning("could not report on delivery %s, it will be repeated: %s", parcel.id, error)


def deliver(context: WorkerContext, parcel: Parcel) -> None:
    """Make one try and report how it went."""
    settings, ledger = context.settings, context.ledger
    status: int | None = None
    try:
        status = post(parcel.url, parcel.body, _headers(parcel), allowed_networks=settings.webhook_allowed_networks)
    except AddressRefused as error:
        reason = str(error)
    except httpx.HTTPError as error:
        reason = f"no answer: {type(error).__name__}"
    else:
        reason = f"answered {status}"
    if status is not None and 200 <= status < 300:
        ledger.delivered(parcel, status=status)
    elif status == _GONE:
        ledger.disable_webhook(parcel, reason="the receiver answered 410 Gone")
    else:
        _log.info("delivery %s, try %d: %s", parcel.id, parcel.attempt, reason)
        ledger.not_delivered(parcel, status=status, error=reason, waits_s=settings.webhook_waits_s)


def _headers(parcel: Parcel) -> dict[str, str]:
    now = datetime.now(UTC)
    signatures = " ".join(Signer(secret).sign(parcel.id, now, parcel.body) for secret in parcel.secrets)
    return {
        "Content-Type": "application/json",
        "User-Agent": "Sterna-Webhooks/1",
        "webhook-id": parcel.id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signatures,
    }
