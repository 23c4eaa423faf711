"""Webhooks: make, list, delete, change the secret, look at deliveries and have one sent again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import httpx
from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api_schemas.problems import FieldProblem
from api_schemas.webhooks import Delivery, DeliveryList, Webhook, WebhookList, WebhookRequest, WebhookWithSecret
from service.backends import TheBackends
from service.bodies import read_json
from service.callers import Admin
from service.documents import json_body
from service.problems import HttpRefusal
from storage.public_addresses import AddressRefused, check_literal

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

_OLD_SECRET_S = 86_400.0
_MOST_DELIVERIES = 500


@router.post("", status_code=201, openapi_extra=json_body(WebhookRequest))
async def create_webhook(
    request: Request, response: Response, backends: TheBackends, caller: Admin
) -> WebhookWithSecret:
    """Have an address told how jobs go. The secret that signs what is sent is in this answer and in no other."""
    wanted = await read_json(request, WebhookRequest, most_bytes=backends.settings.max_json_bytes)
    _check_address(wanted.url, backends.settings.webhook_allowed_networks)
    webhook, secret = await run_in_threadpool(backends.ledger.create_webhook, wanted, tenant=caller.tenant)
    response.headers["Location"] = f"/v1/webhooks/{webhook.id}"
    return WebhookWithSecret(**webhook.model_dump(), secret=secret)


@router.get("")
async def list_webhooks(backends: TheBackends, caller: Admin) -> WebhookList:
    """All webhooks, oldest first."""
    return WebhookList(webhooks=await run_in_threadpool(backends.ledger.webhooks, tenant=caller.tenant))


@router.get("/{webhook_id}")
async def get_webhook(webhook_id: str, backends: TheBackends, caller: Admin) -> Webhook:
    """One webhook; its secret is not shown again."""
    return await run_in_threadpool(backends.ledger.webhook, webhook_id, tenant=caller.tenant)


@router.delete("/{webhook_id}", status_code=204)
async def delete_webhook(webhook_id: str, backends: TheBackends, caller: Admin) -> Response:
    """Tell it nothing any more, not even what is on its way."""
    await run_in_threadpool(backends.ledger.delete_webhook, webhook_id, tenant=caller.tenant)
    return Response(status_code=204)


@router.post("/{webhook_id}/secret")
async def rotate_secret(webhook_id: str, backends: TheBackends, caller: Admin) -> WebhookWithSecret:
    """A new secret, shown this once. For a day everything is signed with the old one as well."""
    rotate = backends.ledger.rotate_secret
    webhook, secret = await run_in_threadpool(rotate, webhook_id, keep_s=_OLD_SECRET_S, tenant=caller.tenant)
    return WebhookWithSecret(**webhook.model_dump(), secret=secret)


@router.get("/{webhook_id}/deliveries")
async def list_deliveries(
    webhook_id: str,
    backends: TheBackends,
    caller: Admin,
    limit: Annotated[int, Query(ge=1, le=_MOST_DELIVERIES)] = 100,
) -> DeliveryList:
    """What was sent and what is on its way, newest first."""
    found = await run_in_threadpool(backends.ledger.deliveries, webhook_id, limit=limit, tenant=caller.tenant)
    return DeliveryList(deliveries=found)


@router.post("/{webhook_id}/deliveries/{delivery_id}/redeliver", status_code=202)
async def redeliver(webhook_id: str, delivery_id: str, backends: TheBackends, caller: Admin) -> Delivery:
    """Send it again, at once and under the same `webhook-id`."""
    return await run_in_threadpool(backends.ledger.redeliver, webhook_id, delivery_id, tenant=caller.tenant)


def _check_address(url: str, allowed_networks: Sequence[str]) -> None:
    """Refuse at once what would be refused with each delivery; where a name leads is looked at when it is called."""
    try:
        check_literal(httpx.URL(url).host, allowed_networks=allowed_networks)
    except (httpx.InvalidURL, UnicodeError, AddressRefused) as error:
        detail = str(error) if isinstance(error, AddressRefused) else f"it is no address: {error}"
        raise HttpRefusal(
            422,
            detail,
            hint="Give an address that the public internet reaches; an operator can allow others by "
            "STERNA_WEBHOOK_ALLOWED_NETWORKS.",
            fields=[FieldProblem(pointer="/url", detail=detail)],
        ) from None
