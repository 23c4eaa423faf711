"""Sweeps: one model at several targets, a job for each, and the table of what they cost."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from api_schemas.queue import JobMessage
from api_schemas.sweeps import Sweep, SweepSpec
from service.backends import TheBackends
from service.bodies import read_json
from service.callers import Reader, Submitter
from service.documents import json_body
from service.idempotency import fingerprint, handled_once, replayed
from service.preflight import check_target
from service.submissions import check_uploads

router = APIRouter(prefix="/v1/sweeps", tags=["sweeps"])


@router.post("", status_code=202, response_model=Sweep, openapi_extra=json_body(SweepSpec))
async def create_sweep(request: Request, backends: TheBackends, caller: Submitter) -> Response:
    """Make a job for each target; all of them or, where anything is wrong, none. Takes an `Idempotency-Key`."""
    spec = await read_json(request, SweepSpec, most_bytes=backends.settings.max_json_bytes)
    async with handled_once(request, backends, caller, fingerprint(spec.model_dump_json())) as handling:
        if handling.replay is not None:
            return replayed(handling.replay, status=202)
        specs = spec.job_specs()
        # The files are read once: what the other targets could add to that is whether few weights can have them.
        inspection = await check_uploads(specs[0], spec.model, spec.data, backends, caller)
        for one in specs[1:]:
            check_target(one, inspection)
        sweep, jobs = await run_in_threadpool(
            backends.ledger.create_sweep,
            spec,
            tenant=caller.tenant,
            turn=handling.turn,
            most_queued=backends.settings.tenant_queued,
        )
    for job in jobs:
        await run_in_threadpool(backends.queue.send, JobMessage(job_id=job.id, attempt=job.attempt))
    headers = {"Location": f"/v1/sweeps/{sweep.id}", "Retry-After": "5"}
    return Response(sweep.model_dump_json(), 202, headers=headers, media_type="application/json")


@router.get("/{sweep_id}")
async def get_sweep(sweep_id: str, backends: TheBackends, caller: Reader) -> Sweep:
    """How the jobs of a sweep stand; `pareto` marks the points that no other one beats in both size and loss."""
    return await run_in_threadpool(backends.ledger.sweep, sweep_id, tenant=caller.tenant)
