"""Is the process alive, and can it serve? The second asks every part on which a job depends."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable

from anyio import fail_after, to_thread
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from kombu.exceptions import OperationalError
from obstore.exceptions import BaseError as BlobStoreError
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from service.backends import Backends, TheBackends
from service.callers import Admin
from service.metrics import METRICS_TYPE
from service.problems import RETRY_AFTER_S, new_problem, problem_response

router = APIRouter(tags=["health"])

_PATIENCE_S = 5.0
_log = logging.getLogger(__name__)


class NoWorker(Exception):
    """No worker has said lately that it lives."""


@router.get("/livez")
async def livez() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(request: Request, backends: TheBackends) -> Response:
    """Database, storage and broker answer and a worker is alive: 200, else 503. Either way each is named."""
    found = await _answers(_pings(backends) | {"workers": lambda: _worker_is_alive(backends)})
    if all(answer == "ok" for answer in found.values()):
        return JSONResponse({"status": "ready", "checks": found})
    bad = ", ".join(name for name, answer in found.items() if answer != "ok")
    problem = new_problem(503, f"not ready: {bad}", hint="the log of the service says more")
    extra = f'"checks":{json.dumps(found)}'
    return problem_response(request, problem, headers={"Retry-After": RETRY_AFTER_S}, extra=extra)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(backends: TheBackends, caller: Admin) -> Response:
    """Figures for Prometheus, in its text format."""
    del caller
    up = {name: answer == "ok" for name, answer in (await _answers(_pings(backends))).items()}
    return Response(await run_in_threadpool(backends.metrics.text, up), media_type=METRICS_TYPE)


def _pings(backends: Backends) -> dict[str, Callable[[], None]]:
    return {"database": backends.ledger.ping, "storage": backends.blobs.ping, "broker": backends.queue.ping}


def _worker_is_alive(backends: Backends) -> None:
    if backends.ledger.alive_workers(within_s=backends.settings.worker_alive_s) == 0:
        raise NoWorker


async def _answers(checks: dict[str, Callable[[], None]]) -> dict[str, str]:
    answers = await asyncio.gather(*(_answer(name, check) for name, check in checks.items()))
    return dict(zip(checks, answers, strict=True))


async def _answer(name: str, check: Callable[[], None]) -> str:
    """`ok`, or in a word or two what is wrong: the log has the rest, for it may name hosts and folders."""
    try:
        with fail_after(_PATIENCE_S):
            await to_thread.run_sync(check, abandon_on_cancel=True)
    except NoWorker:
        return "no worker is alive"
    except TimeoutError:
        return "does not answer in time"
    except (SQLAlchemyError, BlobStoreError, OperationalError, OSError) as error:
        _log.warning("readiness check %s failed: %s", name, error)
        return "does not answer"
    return "ok"
