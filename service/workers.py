"""Which workers there are and what they do: for the operator, since their names are those of hosts."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool

from api_schemas.workers import WorkerList
from service.backends import TheBackends
from service.callers import Admin

router = APIRouter(prefix="/v1/workers", tags=["workers"])


@router.get("")
async def list_workers(backends: TheBackends, caller: Admin) -> WorkerList:
    """Workers that were seen within the last week, those seen last first."""
    del caller
    alive_within_s = backends.settings.worker_alive_s
    return WorkerList(workers=await run_in_threadpool(backends.ledger.list_workers, alive_within_s=alive_within_s))
