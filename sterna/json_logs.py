"""Logs as one JSON object a line, with the ids that tie lines together across service, workers and clients.

    {"at": "2026-11-05T12:00:00.123Z", "level": "info", "logger": "service.access", "message": "GET /v1/jobs 200",
     "request_id": "4f…", "tenant": "acme", "seconds": 0.004}

What is *bound* in a block is said by every line that is written in it, whichever module writes; what a line says of its
own goes into `extra={"fields": {…}}`.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

_BOUND: ContextVar[dict[str, object] | None] = ContextVar("bound", default=None)


@contextmanager
def bound(**fields: object) -> Iterator[None]:
    """Says these fields with every line that this thread or task writes in the block."""
    token = _BOUND.set({**(_BOUND.get() or {}), **fields})
    try:
        yield
    finally:
        _BOUND.reset(token)


class JsonFormatter(logging.Formatter):
    """One JSON object for each record; line ends inside it are escaped, so that no text can pretend to be a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The object."""
        fields: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields |= _BOUND.get() or {}
        own = getattr(record, "fields", None)
        if isinstance(own, dict):
            fields |= own
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


def log_as_json(*, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Makes all logging of this process go to a stream (standard error) as JSON, in place of any set-up before."""
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
