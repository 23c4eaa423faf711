"""Problems of a service and errors of a job, back as the classes of `sterna.errors`: one table, by code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import httpx
from pydantic import ValidationError

from api_schemas import JobErrorInfo, Problem, read_answer
from sterna import errors
from sterna.errors import (
    AccessDenied,
    Conflict,
    InvalidSpec,
    JobError,
    NotFound,
    QuotaExceeded,
    ServiceUnavailable,
    SternaError,
)

# The module itself is the list: a subclass that some program derives for its own use is not of the wire contract.
ERRORS: Final[Mapping[str, type[SternaError]]] = {
    kind.code: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SternaError)
}

_BY_STATUS: Final[Mapping[int, type[SternaError]]] = {
    401: AccessDenied,
    403: AccessDenied,
    404: NotFound,
    409: Conflict,
    429: QuotaExceeded,
    502: ServiceUnavailable,
    503: ServiceUnavailable,
    504: ServiceUnavailable,
}


def problem_error(response: httpx.Response) -> SternaError:
    """The error that a response of 400 or above stands for. Its body must have been read."""
    by_status = _BY_STATUS.get(response.status_code, InvalidSpec if response.is_client_error else SternaError)
    try:
        problem = read_answer(Problem, response.content)
    except ValidationError:
        return by_status(
            f"{response.request.method} {response.request.url} answered {response.status_code} without saying why",
            hint="Check that the address is that of a Sterna service, and whether a proxy stands in between.",
        )
    untold = (field for field in problem.errors if field.pointer not in problem.detail)
    fields = "".join(f"; {field.pointer}: {field.detail}" for field in untold)
    return ERRORS.get(problem.code, by_status)(problem.detail + fields, hint=problem.hint)


def job_error(info: JobErrorInfo) -> SternaError:
    """The error that a job failed with. A code of a newer service becomes a `JobError` that names it."""
    known = ERRORS.get(info.code)
    if known is None:
        return JobError(f"{info.code}: {info.message}", hint=info.hint)
    return known(info.message, hint=info.hint)
