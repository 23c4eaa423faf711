"""`/openapi.json`, complete: what FastAPI knows of the routes, and what they say for themselves.

Added here: the problems that each call can answer with, headers that are read by hand, the calls that webhooks make.
The document is frozen in docs/openapi.json; a test compares.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api_schemas.problems import Problem
from api_schemas.webhooks import WebhookPayload
from service.idempotency import KEY_PATTERN

_REF: Final = "#/components/schemas/{model}"
_OPEN: Final = frozenset({"/livez", "/readyz"})
_METHODS: Final = frozenset({"get", "post", "put", "delete"})

_KEY: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key: `Authorization: Bearer sterna_…`. Not needed where the installation has no keys.",
}

_WHY: Final[dict[int, str]] = {
    400: "The request is malformed.",
    401: "No key, or one that is unknown or revoked.",
    403: "The key's scope does not allow this, or the service does not answer to this address or page.",
    404: "There is no such thing, or it is another tenant's.",
    408: "The sender fell silent in the middle of the body.",
    409: "The state of the thing does not allow this, or the same request is being handled.",
    413: "The body is too large.",
    415: "The body is of a type that this call does not take.",
    416: "The range begins behind the end.",
    422: "The request or a file is not valid; `errors` names the fields.",
    429: "A quota or the rate limit is used up; `Retry-After` says when to come back.",
    503: "Database, storage or broker do not answer, or no worker lives.",
}

_CAN_CONFLICT: Final = frozenset(
    {
        "submit_job", "create_sweep", "cancel_job", "stop_job", "retry_job", "delete_job", "list_artifacts", "download",
        "cancel_sweep", "stop_sweep", "delete_sweep", "put_part", "complete_upload", "inspect_upload", "redeliver",
    }
)  # fmt: skip
_TAKES_KEY: Final = frozenset({"submit_job", "create_sweep", "retry_job"})
_CAN_WAIT: Final = frozenset({"submit_job", "retry_job", "get_job"})


def complete_document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document of an app."""
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, openapi_version="3.1.0"
    )
    schemas = document["components"]["schemas"]
    for model in (Problem, WebhookPayload):
        _add_schema(schemas, model.model_json_schema(ref_template=_REF), model.__name__)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method in _METHODS:
                _complete(path, method, operation)
    document["components"]["securitySchemes"] = {"key": _KEY}
    document["webhooks"] = {"job": {"post": _webhook()}}
    return document


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    # FastAPI's ids hold the path as well: `get_job_v1_jobs__job_id__get`, `livez_livez_get`.
    name = operation["operationId"].partition("_v1_")[0].removesuffix(f"_{path.strip('/')}_{method}")
    operation["operationId"] = name
    responses = operation["responses"]
    for status in _problems(path, method, name, has_body="requestBody" in operation):
        responses[str(status)] = _problem(_WHY[status])
    if name in _CAN_WAIT - {"get_job"}:
        responses["200"] = responses["202"] | {"description": "It has ended within the time that was waited."}
    if name == "create_upload":
        responses["200"] = responses["201"] | {"description": "The content is known: nothing needs to be sent."}
    if path not in _OPEN:
        operation["security"] = [{"key": []}]
    parameters = operation.setdefault("parameters", [])
    parameters += [_header(*header) for header in _headers_of(name)]
    if not parameters:
        del operation["parameters"]


def _problems(path: str, method: str, name: str, *, has_body: bool) -> list[int]:
    if path in _OPEN:
        return [400, 403, 503] if path == "/readyz" else [400, 403]
    found = {400, 401, 403, 422, 429, 503}
    if "{" in path:
        found.add(404)
    if has_body or method == "put":
        found |= {408, 413} | ({415} if has_body else set())
    if name in _CAN_CONFLICT:
        found.add(409)
    if name == "download":
        found.add(416)
    return sorted(found)


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": _REF.format(model="Problem")}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


_IDEMPOTENCY = (
    "Idempotency-Key",
    KEY_PATTERN,
    "Sent again with the same payload, the request is answered as the first time and done once.",
)
# What may be ignored takes any text: a preference or a range that cannot be understood is passed over, as RFCs have it.
_ANY = ""
_PREFER = ("Prefer", _ANY, "`wait=N`: how many seconds the answer may wait for news; at most 60.")
_HEADERS: Final[dict[str, tuple[tuple[str, str, str], ...]]] = {
    "submit_job": (_IDEMPOTENCY, _PREFER),
    "retry_job": (_IDEMPOTENCY, _PREFER),
    "create_sweep": (_IDEMPOTENCY,),
    "get_job": (_PREFER, ("If-None-Match", _ANY, "The ETag that is known.")),
    "list_events": (("Last-Event-ID", _ANY, "The number of the last event that is known; for streams."),),
    "download": (
        ("Range", _ANY, "Which bytes: `bytes=FIRST-LAST`, one range."),
        ("If-Range", _ANY, "Only if this is still the ETag; else all bytes are sent."),
        ("If-None-Match", _ANY, "The ETag that is known."),
    ),
}


def _headers_of(name: str) -> tuple[tuple[str, str, str], ...]:
    return _HEADERS.get(name, ())


def _header(name: str, pattern: str, description: str) -> dict[str, Any]:
    schema = {"type": "string"} | ({"pattern": pattern} if pattern else {})
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


def _add_schema(schemas: dict[str, Any], schema: dict[str, Any], name: str) -> None:
    for part, definition in schema.pop("$defs", {}).items():
        schemas.setdefault(part, definition)
    schemas[name] = schema


def _webhook() -> dict[str, Any]:
    signed = (
        ("webhook-id", r"^msg_[0-9a-f]{32}$", "The same with each try of the same news."),
        ("webhook-timestamp", r"^[0-9]+$", "Seconds since 1970 of this try."),
        ("webhook-signature", r"^v1,.+$", "Standard Webhooks: HMAC-SHA256 of id, timestamp and body."),
    )
    schema = {"$ref": _REF.format(model="WebhookPayload")}
    return {
        "summary": "A job has changed its state",
        "description": "Sent to each webhook that asked for the event.",
        "parameters": [_header(*one) | {"required": True} for one in signed],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {
            "2XX": {"description": "It has arrived."},
            "410": {"description": "Tell me no more: the webhook is disabled."},
            "default": {"description": "It is sent again later."},
        },
    }
