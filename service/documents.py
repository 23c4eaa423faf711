"""What the routes that read their own bodies and write their own answers say of them in `/openapi.json`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """The request body of a route that takes JSON."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema(model)}}}}


def job_body(model: type[BaseModel]) -> dict[str, Any]:
    """The request body of `POST /v1/jobs`: JSON, or a form with files."""
    form = {
        "type": "object",
        "required": ["spec", "model"],
        "properties": {
            "spec": {"type": "string", "description": "The spec as JSON, without `model` and `data`."},
            "model": {"type": "string", "format": "binary"},
            "data": {"type": "string", "format": "binary"},
        },
    }
    content = {"application/json": {"schema": schema(model)}, "multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


def schema(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a model with its parts in place, since a route's extra cannot add components."""
    whole = model.model_json_schema(mode="validation")
    parts = whole.pop("$defs", {})
    return {key: _inlined(value, parts) for key, value in whole.items()}


def binary(description: str) -> dict[int | str, dict[str, Any]]:
    """An answer of bytes."""
    content = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    return {
        200: {"description": description, "content": content},
        206: {"description": "The bytes that the range asked for.", "content": content},
        304: {"description": "The client has it already."},
    }


def event_media() -> dict[int | str, dict[str, Any]]:
    """A list of events, or a stream of them."""
    stream = {"schema": {"type": "string", "description": "Server-sent events; `data` is an Event."}}
    return {
        200: {"description": "Events.", "content": {"text/event-stream": stream}},
        204: {"description": "A stream that was opened again after its end."},
    }


def _inlined(node: Any, parts: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(node, list):
        return [_inlined(item, parts) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        beside = {key: value for key, value in node.items() if key != "$ref"}
        return _inlined(parts[node["$ref"].rpartition("/")[2]] | beside, parts)
    return {key: _inlined(value, parts) for key, value in node.items()}
