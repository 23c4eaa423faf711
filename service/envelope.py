"""What every answer carries whatever its route: the id of the request, and headers that the handling has added."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
        given = Request(scope).headers.get("x-request-id", "")
        state = scope.setdefault("state", {})
        state["request_id"] = given if _ID.fullmatch(given) else uuid.uuid4().hex
        state["headers"] = {"X-Request-Id": state["request_id"]}

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(state["headers"])
            await send(message)

        await self._app(scope, receive, send_with_headers)


def add_headers(request: Request, headers: Mapping[str, str]) -> None:
    """Adds headers to the answer of a request, be it a success or a problem."""
    request.state.headers.update(headers)
