"""Errors over HTTP: RFC 9457 `application/problem+json` with a stable code."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class FieldProblem(BaseModel):
    """One field that is wrong: where, as a JSON pointer, and why."""

    pointer: str
    detail: str


class Problem(BaseModel):
    """What every answer of 400 and above carries. `code` is stable; `hint` says what to do."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:sterna:problem:INVALID_SPEC",
                    "title": "Unprocessable Content",
                    "status": 422,
                    "detail": "/target_sparsity: Input should be less than 1, found 1.5",
                    "instance": "/v1/jobs",
                    "code": "INVALID_SPEC",
                    "hint": "/openapi.json says what each field may hold.",
                    "errors": [{"pointer": "/target_sparsity", "detail": "Input should be less than 1, found 1.5"}],
                }
            ]
        }
    )

    type: str = Field(default="about:blank", description="`urn:sterna:problem:` and the code.")
    title: str
    status: int
    detail: str
    instance: str
    code: str
    hint: str = ""
    errors: tuple[FieldProblem, ...] = ()
