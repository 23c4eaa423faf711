"""Keeps pages of other sites away from a service that asks for no key.

A browser on this machine will send a stranger's page's form to a loopback port, and a stranger's domain name can be
made to point there. So the service answers only to names that are its own, and changes nothing on behalf of another
origin. Where keys are asked for, none of this is needed: no browser sends one by itself.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.problems import new_problem, problem_response

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# RFC 9110, 7.2: a name or a bracketed address, and perhaps a port; nothing else, such as a user or a path.
_HOST = re.compile(r"(?P<name>[a-z0-9._-]+|\[(?P<address>[0-9a-f:.]+)\])(:[0-9]{0,5})?")
_FOREIGN_SITES = frozenset({"cross-site", "same-site"})


class OwnOriginOnly:
    """Refuses requests that name another host, and changes that come from a page of another origin.

    Args:
        app: what is protected.
        allowed_hosts: names that the service has besides those of this machine's own address.
    """

    def __init__(self, app: ASGIApp, *, allowed_hosts: tuple[str, ...] = ()) -> None:
        self._app = app
        self._allowed_hosts = frozenset(name.lower() for name in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["app"].state.backends.keys.needed:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        detail = self._objection(request)
        if detail is None:
            await self._app(scope, receive, send)
            return
        problem = new_problem(403, detail, hint="Call the service by its own address.")
        await problem_response(request, problem)(scope, receive, send)

    def _objection(self, request: Request) -> str | None:
        host = request.headers.get("host", "").lower()
        name = _host_name(host)
        if not (is_loopback(name) or name in self._allowed_hosts):
            return f"the request is for the host {host[:100]!r}, which is not a name of this service"
        if request.method in _SAFE_METHODS:
            return None
        origin = request.headers.get("origin", "").lower()
        if request.headers.get("sec-fetch-site", "").lower() in _FOREIGN_SITES or (
            origin and origin.partition("://")[2] != host
        ):
            return f"the request comes from a page of another origin ({(origin or 'unnamed')[:100]!r})"
        return None


def _host_name(host: str) -> str:
    """The name in a Host header in lower case, without its port; empty where there is none to be found."""
    found = _HOST.fullmatch(host)
    return (found["address"] or found["name"]) if found else ""


@lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address; names other than localhost are not resolved, so no."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
