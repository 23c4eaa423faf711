"""What every request has whatever its route: an id, headers that its handling added, a line in the log, a count."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Mapping

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.metrics import Metrics, route_of
from sterna.json_logs import bound

_log = logging.getLogger("service.access")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Envelope:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request under an id: the sender's `X-Request-Id` where it can be one, else a new one."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"").decode("latin-1")
        state = scope.setdefault("state", {})
        state["request_id"] = given if _ID.fullmatch(given) else secrets.token_hex(16)
        state["headers"] = {"X-Request-Id": state["request_id"]}
        status = 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                added = [(name.lower().encode(), value.encode("latin-1")) for name, value in state["headers"].items()]
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        metrics: Metrics = scope["app"].state.backends.metrics
        began = time.perf_counter()
        metrics.in_flight.inc()
        try:
            with bound(request_id=state["request_id"]):
                await self._app(scope, receive, send_with_headers)
        finally:
            seconds = time.perf_counter() - began
            metrics.in_flight.dec()
            metrics.answered(scope, status, seconds)
            _log_answer(scope, status, seconds)


def _log_answer(scope: Scope, status: int, seconds: float) -> None:
    """One line for each request, with the ids of what it was about; polls that went well would drown the rest."""
    level = logging.DEBUG if scope["method"] in {"GET", "HEAD"} and status < 400 else logging.INFO
    if not _log.isEnabledFor(level):
        return
    state = scope["state"]
    fields = {"request_id": state["request_id"], "status": status, "seconds": round(seconds, 6)}
    fields |= {name: state[name] for name in ("tenant", "key_id") if state.get(name)} | scope.get("path_params", {})
    _log.log(level, "%s %s %d", scope["method"], route_of(scope), status, extra={"fields": fields})


def add_headers(request: Request, headers: Mapping[str, str]) -> None:
    """Adds headers to the answer of a request, be it a success or a problem."""
    request.state.headers.update(headers)
