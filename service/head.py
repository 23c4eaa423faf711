"""HEAD wherever there is GET (RFC 9110, 9.1): the same answer without its body."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class AnswersHead:
    """Handles HEAD as GET, but for routes that have a HEAD of their own.

    FastAPI's routes answer what they were given alone, and one with both methods would be in the document twice.

    Args:
        app: what answers.
        routers: of the app.
    """

    def __init__(self, app: ASGIApp, *, routers: Sequence[APIRouter] = ()) -> None:
        self._app = app
        self._routers = tuple(routers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, as GET where it is a HEAD that nobody takes."""
        if scope["type"] != "http" or scope["method"] != "HEAD" or self._has_its_own(scope):
            await self._app(scope, receive, send)
            return
        ended = False

        async def send_without_body(message: Message) -> None:
            nonlocal ended
            if message["type"] != "http.response.body":
                await send(message)
            elif not ended:
                ended = True
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self._app(dict(scope) | {"method": "GET"}, receive, send_without_body)

    def _has_its_own(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] == Match.FULL for router in self._routers for route in router.routes)
