"""Webhooks of the tenant: make, look, remove, change the secret, see deliveries and have one sent again.

All of it needs a key with the scope `admin`, where the service has keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from api_schemas.webhooks import (
    FINAL_EVENTS,
    Delivery,
    DeliveryList,
    Webhook,
    WebhookEvent,
    WebhookList,
    WebhookWithSecret,
)
from sterna.client.connection import Connection

_PATH = "/v1/webhooks"


class Webhooks:
    """The calls under `/v1/webhooks`, as `client.webhooks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, url: str, *, events: Sequence[WebhookEvent] = FINAL_EVENTS) -> WebhookWithSecret:
        """Have an address told how jobs go. Keep the secret: it is shown this once."""
        return self._connection.post(_PATH, WebhookWithSecret, json={"url": url, "events": list(events)})

    def all(self) -> tuple[Webhook, ...]:
        """Oldest first."""
        return self._connection.get(_PATH, WebhookList).webhooks

    def one(self, webhook_id: str) -> Webhook:
        """One of them, without its secret."""
        return self._connection.get(_of(webhook_id), Webhook)

    def delete(self, webhook_id: str) -> None:
        """Tell it nothing any more."""
        self._connection.delete(_of(webhook_id))

    def rotate_secret(self, webhook_id: str) -> WebhookWithSecret:
        """A new secret, shown this once; for a day everything is signed with the old one as well."""
        return self._connection.post(f"{_of(webhook_id)}/secret", WebhookWithSecret)

    def deliveries(self, webhook_id: str, *, limit: int = 100) -> tuple[Delivery, ...]:
        """What was sent and what is on its way, newest first."""
        return self._connection.get(f"{_of(webhook_id)}/deliveries", DeliveryList, params={"limit": limit}).deliveries

    def redeliver(self, webhook_id: str, delivery_id: str) -> Delivery:
        """Have it sent again at once, under the same `webhook-id`."""
        path = f"{_of(webhook_id)}/deliveries/{quote(delivery_id, safe='')}/redeliver"
        return self._connection.post(path, Delivery, harmless=True)


def _of(webhook_id: str) -> str:
    return f"{_PATH}/{quote(webhook_id, safe='')}"
