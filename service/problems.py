"""Errors over HTTP: the one table from Sterna's errors to statuses, and RFC 9457 problem details for every failure.

Nothing that a client sends makes a 500. Where one happens all the same it is a fault of ours: the log has its story,
the answer has none of it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from obstore.exceptions import BaseError as BlobStoreError
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from api_schemas.problems import FieldProblem, Problem
from service.suggestions import nearest_field
from sterna import errors

PROBLEM_TYPE = "application/problem+json"
RETRY_AFTER_S = "5"
_MOST_FIELDS = 100
_LONGEST_VALUE = 60
FIELDS_HINT = "/openapi.json says what each field may hold."

# The first class that fits decides, so the special comes before the general.
STATUS_OF: tuple[tuple[type[errors.SternaError], int], ...] = (
    (errors.MalformedRequest, 400),
    (errors.MethodNotAllowed, 405),
    (errors.RequestTimeout, 408),
    (errors.RequestTooLarge, 413),
    (errors.UnsupportedMediaType, 415),
    (errors.RangeNotSatisfiable, 416),
    (errors.InvalidSpec, 422),
    (errors.InputError, 422),
    (errors.TargetUnreachable, 422),
    (errors.Unauthenticated, 401),
    (errors.AccessDenied, 403),
    (errors.QuotaExceeded, 429),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.ServiceUnavailable, 503),
)

CODE_OF: Mapping[int, str] = {
    400: errors.MalformedRequest.code,
    403: errors.AccessDenied.code,
    404: errors.NotFound.code,
    405: errors.MethodNotAllowed.code,
    408: errors.RequestTimeout.code,
    409: errors.Conflict.code,
    413: errors.RequestTooLarge.code,
    415: errors.UnsupportedMediaType.code,
    416: errors.RangeNotSatisfiable.code,
    422: errors.InvalidSpec.code,
    500: errors.SternaError.code,
    503: errors.ServiceUnavailable.code,
}

_log = logging.getLogger(__name__)


class HttpRefusal(Exception):
    """A refusal that exists only over HTTP, such as a body that is too large.

    Args:
        status: of the answer; its code is that of `CODE_OF`.
        detail: what was found and what is allowed.
        hint: what to do.
        fields: which fields are wrong.
        headers: of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        hint: str = "",
        fields: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.hint = hint
        self.fields = tuple(fields)
        self.headers = dict(headers or {})


def add_problem_handlers(app: FastAPI, *, routers: Sequence[APIRouter] = ()) -> None:
    """Makes every error of the app a problem.

    Args:
        app: whose errors.
        routers: the app's own, for a 405 has to say which methods a path has; the framework names one route's only.
    """
    app.state.routers = tuple(routers)
    app.add_exception_handler(HttpRefusal, _on_refusal)
    app.add_exception_handler(errors.SternaError, _on_sterna_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_framework_error)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    for unavailable in (SQLAlchemyError, BlobStoreError, OSError):
        app.add_exception_handler(unavailable, _on_unavailable)
    app.add_exception_handler(Exception, _on_fault)


def invalid_fields(
    error: ValidationError | RequestValidationError, model: type[BaseModel] | None = None
) -> tuple[FieldProblem, ...]:
    """What pydantic found, as JSON pointers; of the values that were sent only short plain ones are repeated.

    Args:
        error: of the reading.
        model: what the body was read as: an unknown field of it is told the one that may have been meant.
    """
    return tuple(
        FieldProblem(
            pointer=_pointer(found["loc"]),
            detail=f"{found['msg'].removeprefix('Value error, ')}{_found_value(found)}{_meant(found, model)}",
        )
        for found in error.errors()[:_MOST_FIELDS]
    )


def _meant(found: Mapping[str, Any], model: type[BaseModel] | None) -> str:
    if model is None or found["type"] != "extra_forbidden":
        return ""
    name = nearest_field(model, found["loc"])
    return "" if name is None else f"; did you mean {name}?"


def _found_value(found: Mapping[str, Any]) -> str:
    value = found.get("input")
    if found["type"] in {"missing", "extra_forbidden"} or not isinstance(value, str | int | float):
        return ""
    shown = ascii(value)
    return f", found {shown}" if len(shown) <= _LONGEST_VALUE else ""


def problem_response(
    request: Request, problem: Problem, *, headers: Mapping[str, str] | None = None, extra: str = ""
) -> Response:
    """A problem as an answer; `instance` is filled in, from the scope since an address with a bad host has no parts.

    Args:
        request: what is answered.
        problem: what to say.
        headers: of the answer.
        extra: members of RFC 9457 beyond our own, as JSON text without its braces.
    """
    body = problem.model_copy(update={"instance": request.scope["path"]}).model_dump_json()
    if extra:
        body = f"{body[:-1]},{extra}}}"
    return Response(body, status_code=problem.status, headers=dict(headers or {}), media_type=PROBLEM_TYPE)


def new_problem(status: int, detail: str, **more: Any) -> Problem:  # noqa: ANN401 - fields of Problem
    """A problem whose title and code follow from its status unless they are given."""
    fields = {"title": HTTPStatus(status).phrase, "code": CODE_OF.get(status, f"HTTP_{status}")} | more
    kind = f"urn:sterna:problem:{fields['code']}"
    return Problem(**({"type": kind, "status": status, "detail": detail, "instance": ""} | fields))


async def _on_refusal(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, HttpRefusal)
    problem = new_problem(refusal.status, refusal.detail, hint=refusal.hint, errors=refusal.fields)
    return problem_response(request, problem, headers=refusal.headers)


async def _on_sterna_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.SternaError)
    status = next((status for kind, status in STATUS_OF if isinstance(error, kind)), 500)
    if status == 500:
        return await _on_fault(request, error)
    headers = {"WWW-Authenticate": 'Bearer realm="sterna"'} if status == 401 else {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    elif status in {429, 503}:
        headers["Retry-After"] = RETRY_AFTER_S
    problem = new_problem(status, error.detail, hint=error.hint, code=error.code)
    return problem_response(request, problem, headers=headers)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    fields = invalid_fields(error)
    detail = "; ".join(f"{field.pointer}: {field.detail}" for field in fields[:3])
    return problem_response(
        request, new_problem(422, detail or "the request is not valid", hint=FIELDS_HINT, errors=fields)
    )


async def _on_framework_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    method, path = request.method[:20], request.scope["path"][:200]
    detail, hint = str(error.detail), "Compare the request with what /openapi.json says of this call."
    if error.status_code == 405:
        headers["Allow"] = _allowed(request) or headers.get("Allow", "")
        detail, hint = f"{method} is no method of {path}", f"Use one that it has: {headers['Allow']}."
    elif error.status_code == 404:
        detail = f"there is nothing at {path!r}"
        hint = "/openapi.json lists every address; all begin with /v1 but those of health and the page at /."
    return problem_response(request, new_problem(error.status_code, detail, hint=hint), headers=headers)


def _allowed(request: Request) -> str:
    methods: dict[str, set[str]] = {}
    for router in request.app.state.routers:
        for route in router.routes:
            if route.matches(request.scope)[0] != Match.NONE:
                names = route.methods | ({"HEAD"} if "GET" in route.methods else set())
                methods.setdefault(route.path, set()).update(names)
    # `/v1/jobs/estimate` is that and no job's address.
    found = methods.get(request.scope["path"], set().union(*methods.values()))
    return ", ".join(sorted(found))


async def _on_disconnect(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)  # nobody is left to read it


async def _on_unavailable(request: Request, error: Exception) -> Response:
    _log.error("%s %s: database or storage failed", request.method, request.scope["path"], exc_info=error)
    problem = new_problem(503, "the database or the storage does not answer", hint="try again in a moment")
    return problem_response(request, problem, headers={"Retry-After": RETRY_AFTER_S})


async def _on_fault(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.scope["path"], exc_info=error)
    hint = "Report it with the X-Request-Id of this answer; it is in the log, too."
    problem = new_problem(500, "the service failed to handle the request; its log says why", hint=hint)
    return problem_response(request, problem)


def _pointer(location: Sequence[int | str]) -> str:
    """`("body", "search", "alpha")` → `/search/alpha`; query and path parameters keep their place's name."""
    steps = location[1:] if location and location[0] == "body" else location
    return "".join("/" + str(step)[:80].replace("~", "~0").replace("/", "~1") for step in steps)
