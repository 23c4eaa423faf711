"""The service's own page: `/`, its view of the API under `/docs`, and the files that it is made of under `/web`.

It needs no key: there is nothing in it but the page, which asks the public API for what it shows, with the key of
whoever uses it. docs/web.md says how it is built.
"""

from __future__ import annotations

import re
from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from service.backends import TheBackends
from service.conditional import matches
from service.problems import HttpRefusal
from service.web_files import WebFile, web_files, web_page

router = APIRouter(include_in_schema=False)

# Nothing but this service's own files, and neither script nor style within the page (docs/decisions, 18).
CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "worker-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}
_FOR_GOOD: Final = "public, max-age=31536000, immutable"
_GZIP: Final = re.compile(r"(^|[\s,])(gzip|\*)\s*(;\s*q=(0?\.\d*[1-9]\d*|1(\.0*)?)\s*)?(,|$)", re.IGNORECASE)


@router.get("/")
async def get_page(request: Request, backends: TheBackends) -> Response:
    """The page. It is asked for anew each time, and names the files of its own make."""
    page = await run_in_threadpool(web_page, max_upload_bytes=backends.settings.max_upload_bytes)
    return await _answer(request, page, caching="no-cache")


@router.get("/docs")
async def get_docs() -> Response:
    """The contract to read is a view of the page."""
    return RedirectResponse("/#/docs", status_code=307, headers=_HEADERS)


@router.get("/web/{path:path}")
async def get_web_file(path: str, request: Request) -> Response:
    """A script, a style or a picture of the page, which a browser may keep for good."""
    file = (await run_in_threadpool(web_files)).get(path)
    if file is None:
        raise HttpRefusal(
            404, f"the page has no file {path[:200]!r}", hint="Load the page anew: it may be of another version."
        )
    return await _answer(request, file, caching=_FOR_GOOD)


async def _answer(request: Request, file: WebFile, *, caching: str) -> Response:
    headers = _HEADERS | {"Cache-Control": caching, "ETag": file.etag}
    if matches(request.headers.get("if-none-match", ""), file.etag.removeprefix("W/")):
        return Response(status_code=304, headers=headers)
    content = file.content
    if _GZIP.search(request.headers.get("accept-encoding", "")):
        # The largest takes a quarter of a second, once.
        gzipped = await run_in_threadpool(lambda: file.gzipped)
        if gzipped is not None:
            content, headers["Content-Encoding"] = gzipped, "gzip"
    return Response(content, headers=headers, media_type=file.media_type)
