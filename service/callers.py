"""Who is asking, and what they may do: API keys as bearer tokens, each for one tenant.

An installation where no key was ever made serves this machine alone and asks for none. From its first key on, every
call needs one, from this machine too: revoking the last key closes the service, it does not open it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from service.backends import Backends
from service.envelope import add_headers
from service.origin import is_loopback
from service.rates import Rates
from sterna.errors import AccessDenied, RateLimited, Unauthenticated
from storage.keys import Scope
from storage.schema import LOCAL


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who was let in.

    Attributes:
        tenant: whose things are theirs.
        key_id: of the key that they showed; None where none is needed.
    """

    tenant: str
    key_id: str | None = None


def _caller_with(scope: Scope) -> Callable[..., Awaitable[Caller]]:
    async def authenticate(request: Request) -> Caller:
        backends: Backends = request.app.state.backends
        if not await backends.keys.look():
            return _local(request)
        shown = _shown_key(request)
        key = await run_in_threadpool(backends.ledger.find_key, shown)
        if key is None:
            raise Unauthenticated("the key is unknown or revoked", hint="ask an operator for another key")
        request.state.tenant, request.state.key_id = key.tenant, key.id
        _count(request, backends.rates, key.tenant)
        if not key.may(scope):
            raise AccessDenied(
                f"the key {key.id} has the scope {key.scope!r}, this call needs {scope!r}",
                hint="ask an operator for a key with that scope",
            )
        return Caller(key.tenant, key.id)

    return authenticate


authenticated_reader = _caller_with("read")
Reader = Annotated[Caller, Depends(authenticated_reader)]
Submitter = Annotated[Caller, Depends(_caller_with("submit"))]
Admin = Annotated[Caller, Depends(_caller_with("admin"))]


def _shown_key(request: Request) -> str:
    kind, _, key = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not key.strip():
        raise Unauthenticated(
            "this call needs a key",
            hint="send `Authorization: Bearer KEY` (`sterna` sends STERNA_API_KEY); an operator makes keys",
        )
    return key.strip()


def _local(request: Request) -> Caller:
    """Without keys only this machine is served, however the server was started."""
    if request.client is not None and not is_loopback(request.client.host):
        raise Unauthenticated(
            "without keys the service answers to its own machine alone",
            hint="an operator makes a key with `sterna keys create`",
        )
    return Caller(LOCAL)


def _count(request: Request, rates: Rates, tenant: str) -> None:
    allowance = rates.take(tenant)
    add_headers(request, allowance.headers())
    if not allowance.granted:
        raise RateLimited(
            f"more than {allowance.quota} requests in a minute",
            hint="ask less often: long polls (`Prefer: wait=N`) and event streams need few requests",
            retry_after_s=allowance.reset_s,
        )
