"""Errors over HTTP: RFC 9457 `application/problem+json` with a stable code."""

from __future__ import annotations

from pydantic import BaseModel


class FieldProblem(BaseModel):
    """One field that is wrong: where, as a JSON pointer, and why."""

    pointer: str
    detail: str


class Problem(BaseModel):
    """What every answer of 400 and above carries. `hint` says what to do."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    code: str
    hint: str = ""
    errors: tuple[FieldProblem, ...] = ()
