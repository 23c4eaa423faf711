"""Sweeps: one model at several targets, jobs for each, the table of what they cost, and the end of all of them."""

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

LOOK_AGAIN_S = "5"

router = APIRouter(prefix="/v1/sweeps", tags=["sweeps"])


@router.post("", status_code=202, response_model=Sweep, openapi_extra=json_body(SweepSpec))
async def create_sweep(request: Request, backends: TheBackends, caller: Submitter) -> Response:
    """Make a job for each target; all of them or, where anything is wrong, none. Takes an `Idempotency-Key`."""
    spec = await read_json(request, SweepSpec, most_bytes=backends.settings.max_json_bytes)
    async with handled_once(request, backends, caller, fingerprint(spec.model_dump_json())) as handling:
        if handling.replay is not None:
            return replayed(handling.replay, status=202, retry_after=LOOK_AGAIN_S)
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
    messages = [JobMessage(job_id=job.id, attempt=job.attempt) for job in jobs]
    await run_in_threadpool(backends.queue.send_all, messages)
    headers = {"Location": f"/v1/sweeps/{sweep.id}", "Retry-After": LOOK_AGAIN_S}
    return Response(sweep.model_dump_json(), 202, headers=headers, media_type="application/json")


@router.get("/{sweep_id}")
async def get_sweep(sweep_id: str, backends: TheBackends, caller: Reader) -> Sweep:
    """How the jobs of a sweep stand; `pareto` marks the points that no other one beats in both size and loss."""
    return await run_in_threadpool(backends.ledger.sweep, sweep_id, tenant=caller.tenant)


@router.post("/{sweep_id}/cancel")
async def cancel_sweep(sweep_id: str, backends: TheBackends, caller: Submitter) -> Sweep:
    """Throw all its jobs away: at once those that wait, within seconds those that run. No further round is made."""
    return await run_in_threadpool(backends.ledger.request_sweep, sweep_id, "cancel", tenant=caller.tenant)


@router.post("/{sweep_id}/stop")
async def stop_sweep(sweep_id: str, backends: TheBackends, caller: Submitter) -> Sweep:
    """Finish now: jobs that run end with the best so far, those that wait are cancelled. No further round is made."""
    return await run_in_threadpool(backends.ledger.request_sweep, sweep_id, "stop", tenant=caller.tenant)


@router.delete("/{sweep_id}", status_code=204)
async def delete_sweep(sweep_id: str, backends: TheBackends, caller: Submitter) -> Response:
    """Remove a sweep that has ended and all its jobs, each as by `DELETE /v1/jobs/{job_id}`; all of them or none."""
    content = await run_in_threadpool(backends.ledger.delete_sweep, sweep_id, tenant=caller.tenant)
    grace_s = backends.settings.blob_grace_s
    await run_in_threadpool(backends.ledger.collect, backends.blobs, grace_s=grace_s, only=content)
    return Response(status_code=204)
