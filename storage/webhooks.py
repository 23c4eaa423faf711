"""Webhooks and their outbox: what is to be told is written in the transaction of the change that it tells of.

A delivery is a row until it has arrived. Whoever delivers takes it for a while by one UPDATE, so that of several
workers one tries; what was taken and never reported back is due again when that while is over. A receiver may thus hear
the same news twice, under the same id.
"""

from __future__ import annotations

import base64
import re
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, insert, select, update

from api_schemas.webhooks import Delivery, Webhook, WebhookRequest
from sterna.errors import Conflict, NotFound
from storage.clock import as_datetime, microseconds, now_us
from storage.database import Database
from storage.outbox import EVENTS
from storage.schema import DELIVERIES, LOCAL, WEBHOOKS

WAITS_S: Final = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""How long after each try that failed the next one comes: the schedule that Standard Webhooks proposes."""

_WEBHOOK_ID = re.compile(r"whk_[0-9a-f]{32}")
_DELIVERY_ID = re.compile(r"msg_[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Parcel:
    """A delivery that somebody has taken.

    Attributes:
        id: of the delivery.
        attempt: how many tries this one makes it.
        secrets: that sign it: the present one, and the one before while it still counts.
    """

    id: str
    webhook_id: str
    url: str
    body: str
    attempt: int
    secrets: tuple[str, ...]


class Webhooks(Database):
    """The part of the ledger that knows who is to be told what."""

    def create_webhook(self, request: WebhookRequest, *, tenant: str = LOCAL) -> tuple[Webhook, str]:
        """Makes a webhook; returns it and the secret, which signs what is sent."""
        secret = _new_secret()
        row = {
            "id": f"whk_{uuid.uuid4().hex}",
            "tenant": tenant,
            "url": request.url,
            "events": EVENTS.dump_json(tuple(dict.fromkeys(request.events))).decode(),
            "secret": secret,
            "disabled_reason": "",
            "created_us": now_us(),
        }
        with self.write() as connection:
            made = connection.execute(insert(WEBHOOKS).values(row).returning(*WEBHOOKS.c)).one()
        return _webhook_of(made), secret

    def webhooks(self, *, tenant: str = LOCAL) -> tuple[Webhook, ...]:
        """A tenant's webhooks, oldest first."""
        query = select(WEBHOOKS).where(WEBHOOKS.c.tenant == tenant).order_by(WEBHOOKS.c.created_us, WEBHOOKS.c.id)
        with self.read() as connection:
            return tuple(_webhook_of(row) for row in connection.execute(query))

    def webhook(self, webhook_id: str, *, tenant: str = LOCAL) -> Webhook:
        """One webhook.

        Raises:
            NotFound: the tenant has no such webhook.
        """
        with self.read() as connection:
            return _webhook_of(_find(connection, webhook_id, tenant))

    def delete_webhook(self, webhook_id: str, *, tenant: str = LOCAL) -> None:
        """Removes a webhook and what is on its way to it.

        Raises:
            NotFound: the tenant has no such webhook.
        """
        with self.write() as connection:
            if connection.execute(delete(WEBHOOKS).where(_own(webhook_id, tenant))).rowcount != 1:
                raise _no_such(webhook_id)

    def rotate_secret(self, webhook_id: str, *, keep_s: float, tenant: str = LOCAL) -> tuple[Webhook, str]:
        """Gives a webhook a new secret. For `keep_s` what is sent is signed with the old one too.

        Raises:
            NotFound: the tenant has no such webhook.
        """
        secret = _new_secret()
        old = {"old_secret": WEBHOOKS.c.secret, "old_until_us": now_us() + microseconds(keep_s)}
        with self.write() as connection:
            changed = update(WEBHOOKS).where(_own(webhook_id, tenant)).values(secret=secret, **old)
            row = connection.execute(changed.returning(*WEBHOOKS.c)).one_or_none()
        if row is None:
            raise _no_such(webhook_id)
        return _webhook_of(row), secret

    def deliveries(self, webhook_id: str, *, limit: int = 100, tenant: str = LOCAL) -> tuple[Delivery, ...]:
        """The newest deliveries of a webhook, newest first.

        Raises:
            NotFound: the tenant has no such webhook.
        """
        newest = select(DELIVERIES).where(DELIVERIES.c.webhook_id == webhook_id)
        newest = newest.order_by(DELIVERIES.c.created_us.desc(), DELIVERIES.c.id).limit(limit)
        with self.read() as connection:
            _find(connection, webhook_id, tenant)
            return tuple(_delivery_of(row) for row in connection.execute(newest))

    def redeliver(self, webhook_id: str, delivery_id: str, *, tenant: str = LOCAL) -> Delivery:
        """Has a delivery sent again, at once and with all its tries before it.

        Raises:
            NotFound: the tenant has no such webhook, or it no such delivery.
            Conflict: the webhook is disabled.
        """
        with self.write() as connection:
            webhook = _find(connection, webhook_id, tenant)
            if webhook.disabled_reason:
                raise Conflict(
                    f"webhook {webhook_id} is disabled: {webhook.disabled_reason}", hint="make a new one instead"
                )
            row = None
            if _DELIVERY_ID.fullmatch(delivery_id):
                which = and_(DELIVERIES.c.id == delivery_id, DELIVERIES.c.webhook_id == webhook_id)
                again = update(DELIVERIES).where(which).values(state="pending", attempts=0, next_us=now_us())
                row = connection.execute(again.returning(*DELIVERIES.c)).one_or_none()
        if row is None:
            raise NotFound(f"webhook {webhook_id} has no delivery {delivery_id[:80]!r}", hint="list its deliveries")
        return _delivery_of(row)

    def take_deliveries(self, *, limit: int, hold_s: float) -> tuple[Parcel, ...]:
        """Takes what is due, oldest first; who took it and dies leaves it due again after `hold_s`."""
        due = and_(DELIVERIES.c.state == "pending", DELIVERIES.c.next_us <= now_us())
        with self.read() as connection:
            # Asked every second: where nothing is due, no writer has to wait for that.
            if connection.execute(select(DELIVERIES.c.id).where(due).limit(1)).first() is None:
                return ()
        # Those that another worker is taking are passed over: both would wait, or wait for each other.
        free = select(DELIVERIES.c.id).where(due).order_by(DELIVERIES.c.next_us).limit(limit)
        oldest = select(free.with_for_update(skip_locked=True).cte("free").c.id)
        taken = update(DELIVERIES).where(DELIVERIES.c.id.in_(oldest), due)
        later = {"next_us": now_us() + microseconds(hold_s), "attempts": DELIVERIES.c.attempts + 1}
        with self.write() as connection:
            rows = connection.execute(taken.values(later).returning(*DELIVERIES.c, now_us().label("at_us"))).all()
            ids = {row.webhook_id for row in rows}
            found = connection.execute(select(WEBHOOKS).where(WEBHOOKS.c.id.in_(ids))).all()
        webhooks = {row.id: row for row in found}
        return tuple(_parcel(row, webhooks[row.webhook_id]) for row in sorted(rows, key=lambda row: row.created_us))

    def delivered(self, parcel: Parcel, *, status: int) -> bool:
        """Says that a parcel has arrived; False when somebody else has taken it since."""
        return self._report(parcel, {"state": "delivered", "next_us": None, "last_status": status, "last_error": ""})

    def not_delivered(
        self, parcel: Parcel, *, status: int | None, error: str, waits_s: Sequence[float] = WAITS_S
    ) -> bool:
        """Says that a try failed: the next comes after the wait of its turn, and none after the last.

        Returns:
            False when somebody else has taken it since.
        """
        last = parcel.attempt > len(waits_s)
        next_us = None if last else now_us() + microseconds(waits_s[parcel.attempt - 1])
        outcome = {"state": "failed" if last else "pending", "next_us": next_us}
        return self._report(parcel, outcome | {"last_status": status, "last_error": error[:500]})

    def disable_webhook(self, parcel: Parcel, *, reason: str) -> None:
        """Says that the receiver wants to hear no more: nothing that is on its way to it is tried again."""
        pending = and_(DELIVERIES.c.webhook_id == parcel.webhook_id, DELIVERIES.c.state == "pending")
        with self.write() as connection:
            connection.execute(
                update(WEBHOOKS).where(WEBHOOKS.c.id == parcel.webhook_id).values(disabled_reason=reason)
            )
            connection.execute(
                update(DELIVERIES).where(pending).values(state="failed", next_us=None, last_error=reason)
            )

    def forget_deliveries(self, *, older_than_s: float) -> None:
        """Removes deliveries that are over and older than that."""
        over = and_(DELIVERIES.c.state != "pending", DELIVERIES.c.created_us < now_us() - microseconds(older_than_s))
        with self.write() as connection:
            connection.execute(delete(DELIVERIES).where(over))

    def _report(self, parcel: Parcel, outcome: dict[str, Any]) -> bool:
        taken = and_(
            DELIVERIES.c.id == parcel.id, DELIVERIES.c.state == "pending", DELIVERIES.c.attempts == parcel.attempt
        )
        with self.write() as connection:
            return connection.execute(update(DELIVERIES).where(taken).values(outcome)).rowcount == 1


def _parcel(row: Row[Any], webhook: Row[Any]) -> Parcel:
    old = webhook.old_secret is not None and webhook.old_until_us > row.at_us
    secrets_now = (webhook.secret, webhook.old_secret) if old else (webhook.secret,)
    return Parcel(row.id, row.webhook_id, webhook.url, row.body, row.attempts, secrets_now)


def _find(connection: Connection, webhook_id: str, tenant: str) -> Row[Any]:
    row = connection.execute(select(WEBHOOKS).where(_own(webhook_id, tenant))).one_or_none()
    if row is None:
        raise _no_such(webhook_id)
    return row


def _own(webhook_id: str, tenant: str) -> ColumnElement[bool]:
    if not _WEBHOOK_ID.fullmatch(webhook_id):
        raise _no_such(webhook_id)
    return and_(WEBHOOKS.c.id == webhook_id, WEBHOOKS.c.tenant == tenant)


def _no_such(webhook_id: str) -> NotFound:
    return NotFound(f"there is no webhook {webhook_id[:80]!r}", hint="list them with GET /v1/webhooks")


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _webhook_of(row: Row[Any]) -> Webhook:
    return Webhook.model_validate(
        {
            "id": row.id,
            "url": row.url,
            "events": EVENTS.validate_json(row.events),
            "enabled": not row.disabled_reason,
            "disabled_reason": row.disabled_reason,
            "created_at": as_datetime(row.created_us),
        }
    )


def _delivery_of(row: Row[Any]) -> Delivery:
    return Delivery.model_validate(
        {
            "id": row.id,
            "type": row.type,
            "job_id": row.job_id,
            "state": row.state,
            "attempts": row.attempts,
            "created_at": as_datetime(row.created_us),
            "next_attempt_at": None if row.next_us is None else as_datetime(row.next_us),
            "last_status": row.last_status,
            "last_error": row.last_error,
        }
    )
