"""Jobs: submit, list, look and wait, cancel, stop, try again, delete, events, logs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from api_schemas.estimates import Estimate
from api_schemas.events import EventList
from api_schemas.jobs import TERMINAL_STATES, Job, JobList, JobSpec, JobState
from api_schemas.problems import FieldProblem
from api_schemas.queue import JobMessage
from service.backends import Backends, TheBackends
from service.callers import Caller, Reader, Submitter, authenticated_reader
from service.conditional import matches
from service.documents import event_media, job_body
from service.estimates import estimate
from service.idempotency import fingerprint, handled_once, replayed
from service.job_reader import Told, told_of
from service.links import linked_list
from service.prefer import applied, preferred_wait_s, wait_until
from service.problems import HttpRefusal
from service.streams import event_stream, last_event_id, wants_stream
from service.submissions import checked, estimated_case, read_order
from storage.jobs import JobFilter
from storage.once import Replay

LOOK_AGAIN_S = "2"
_MOST_JOBS = 200
_MOST_EVENTS = 1000
_MOST_FILTERS = 16


class PolledRoute(APIRoute):
    """`GET /v1/jobs/{job_id}` without FastAPI's solving of dependencies, which costs more than all that it does.

    Its parameters are still what the document is made of. Problems are answered as everywhere, by the application.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the endpoint with what its dependencies would give."""
        if scope["method"] != "GET":
            await super().handle(scope, receive, send)  # which refuses it
            return
        request = Request(scope, receive, send)
        caller = await authenticated_reader(request)
        response = await get_job(request.path_params["job_id"], request, request.app.state.backends, caller)
        await response(scope, receive, send)


# First, since routes are tried in order and this is the one that is asked most.
polled = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=PolledRoute)


@polled.get("/{job_id}", response_model=Job, responses={304: {"description": "It is still as the client knows it."}})
async def get_job(job_id: str, request: Request, backends: TheBackends, caller: Reader) -> Response:
    """How a job stands.

    With `Prefer: wait=N` the answer comes when the job's state, phase or attempt changes, when it is final, or after N
    seconds, whichever is first; progress alone does not end the wait. With `If-None-Match` as well, a representation
    that is already another one is answered at once, and one that is still the same after the wait with 304.
    """
    read = _reader(backends, job_id, caller)
    told = await read()
    known = request.headers.get("if-none-match")
    wait_s = preferred_wait_s(request, most_s=backends.settings.max_wait_s)
    if wait_s and (known is None or matches(known, told.etag)):
        seen = _stage(told)
        told = await wait_until(lambda now: _is_final(now) or _stage(now) != seen, read, wait_s=wait_s, request=request)
    headers = applied(wait_s) | {"ETag": told.etag, "Cache-Control": "private, no-cache"}
    if known is not None and matches(known, told.etag):
        return Response(status_code=304, headers=headers)
    return _job_response(told, status=200, headers=headers)


router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.post("", status_code=202, response_model=Job, openapi_extra=job_body(JobSpec))
async def submit_job(request: Request, backends: TheBackends, caller: Submitter) -> Response:
    """Submit a job: a JSON spec that names uploads, or a form with the files themselves.

    Files that cannot be used are refused now, and no job is made. With `Prefer: wait=N` the answer comes when the job
    has ended (200) or after N seconds (202). With an `Idempotency-Key`, sending it again makes no second job.
    """
    async with (
        read_order(request, backends) as order,
        handled_once(request, backends, caller, order.payload) as handling,
    ):
        if handling.replay is not None:
            return await _replayed(handling.replay, request, backends, caller)
        spec, _ = await checked(order, backends, caller)
        job = await run_in_threadpool(
            backends.ledger.submit,
            spec,
            tenant=caller.tenant,
            turn=handling.turn,
            most_queued=backends.settings.tenant_queued,
        )
    await _announce(backends, job)
    return await _accepted(job, request, backends, caller)


class JobsQuery(BaseModel):
    """Which jobs, and how many at a time."""

    model_config = ConfigDict(extra="forbid")

    page_size: int = Field(default=0, ge=0, lt=2**31)
    page_token: str = Field(default="", max_length=512)
    state: list[JobState] = Field(default_factory=list, max_length=_MOST_FILTERS, description="In any of these.")
    label: list[str] = Field(
        default_factory=list, max_length=_MOST_FILTERS, description="KEY=VALUE; a job must carry all of them."
    )


class EventsQuery(BaseModel):
    """Which events."""

    model_config = ConfigDict(extra="forbid")

    after: int = Field(default=0, ge=0, lt=2**53)
    limit: int = Field(default=_MOST_EVENTS, ge=1, lt=2**31)


@router.post("/estimate", openapi_extra=job_body(JobSpec))
async def estimate_job(request: Request, backends: TheBackends, caller: Submitter) -> Estimate:
    """What a job would take: time, memory, artifact bytes. Takes what a submission takes, and makes no job.

    Files that cannot be used are refused as they would be then; those of a form are not kept.
    """
    async with read_order(request, backends) as order:
        case = await estimated_case(order, backends, caller)
    return estimate(case)


@router.get("")
async def list_jobs(backends: TheBackends, caller: Reader, query: Annotated[JobsQuery, Query()]) -> JobList:
    """A page of jobs, newest first. At most 200 at a time, 50 when `page_size` is 0 or left out."""
    wanted = JobFilter(tuple(query.state), tuple(_label(text) for text in query.label))
    page_size = min(query.page_size or 50, _MOST_JOBS)
    page = await run_in_threadpool(
        backends.ledger.jobs, wanted, page_size=page_size, page_token=query.page_token, tenant=caller.tenant
    )
    return linked_list(page)


@router.post("/{job_id}/cancel", response_model=Job)
async def cancel_job(job_id: str, backends: TheBackends, caller: Submitter) -> Response:
    """Throw the job away: at once when it is queued, within seconds when it runs."""
    return await _request(backends, job_id, "cancel", caller)


@router.post("/{job_id}/stop", response_model=Job)
async def stop_job(job_id: str, backends: TheBackends, caller: Submitter) -> Response:
    """Finish now with the best so far."""
    return await _request(backends, job_id, "stop", caller)


@router.post("/{job_id}/retry", status_code=202, response_model=Job)
async def retry_job(job_id: str, request: Request, backends: TheBackends, caller: Submitter) -> Response:
    """Queue a job that failed or was cancelled once more, as its next attempt. Takes an `Idempotency-Key`."""
    async with handled_once(request, backends, caller, fingerprint(job_id)) as handling:
        if handling.replay is not None:
            return await _replayed(handling.replay, request, backends, caller)
        job = await run_in_threadpool(
            backends.ledger.retry,
            job_id,
            tenant=caller.tenant,
            turn=handling.turn,
            most_queued=backends.settings.tenant_queued,
        )
    await _announce(backends, job)
    return await _accepted(job, request, backends, caller)


@router.delete("/{job_id}", status_code=204)
async def delete_job(job_id: str, backends: TheBackends, caller: Submitter) -> Response:
    """Remove a job that has ended, with its events, logs, artifacts and the uploads that no other job uses.

    Content that nothing refers to any more is removed at once where it is safe, else within the blob store's grace.
    """
    content = await run_in_threadpool(backends.ledger.delete_job, job_id, tenant=caller.tenant)
    grace_s = backends.settings.blob_grace_s
    await run_in_threadpool(backends.ledger.collect, backends.blobs, grace_s=grace_s, only=content)
    return Response(status_code=204)


@router.get("/{job_id}/events", response_model=EventList, responses=event_media())
async def list_events(
    job_id: str, request: Request, backends: TheBackends, caller: Reader, query: Annotated[EventsQuery, Query()]
) -> Response:
    """What happened after the event numbered `after`, oldest first, at most 1000 at a time.

    With `Accept: text/event-stream` events are sent as they happen: `id` is the event's number, `event` its kind and
    `data` the event. `Last-Event-ID` goes on after that number. After the last one comes an event `end`; a stream that
    is opened again after it is answered with 204, which tells browsers to stay away.
    """

    async def read(number: int) -> EventList:
        most = min(query.limit, _MOST_EVENTS)
        return await run_in_threadpool(backends.ledger.events, job_id, after=number, limit=most, tenant=caller.tenant)

    if not wants_stream(request):
        page = await read(query.after)
        return Response(page.model_dump_json(by_alias=True), media_type="application/json")
    resumed = last_event_id(request)
    after = query.after if resumed is None else resumed
    page = await read(after)
    if page.final and not page.events:
        return Response(status_code=204)
    return event_stream(read, after=after, request=request)


@router.get("/{job_id}/logs", response_class=PlainTextResponse)
async def read_log(
    job_id: str,
    backends: TheBackends,
    caller: Reader,
    attempt: Annotated[int | None, Query(ge=1, lt=2**31)] = None,
) -> Response:
    """The end of what the runner wrote to its log, at most 64 KiB; of the newest attempt unless another is named.

    While the job runs it is a few seconds old.
    """
    number, text = await run_in_threadpool(backends.ledger.log, job_id, attempt=attempt, tenant=caller.tenant)
    return PlainTextResponse(text, headers={"Sterna-Attempt": str(number), "X-Content-Type-Options": "nosniff"})


async def _announce(backends: Backends, job: Job) -> None:
    await run_in_threadpool(backends.queue.send, JobMessage(job_id=job.id, attempt=job.attempt))


async def _accepted(
    job: Job, request: Request, backends: Backends, caller: Caller, headers: Mapping[str, str] | None = None
) -> Response:
    """202 with the job, or 200 once it has ended within the time that the client would like to wait."""
    wait_s = preferred_wait_s(request, most_s=backends.settings.max_wait_s)
    read = _reader(backends, job.id, caller)
    if wait_s:
        told = await wait_until(_is_final, read, wait_s=wait_s, request=request)
    else:
        told = told_of(job)
    more = applied(wait_s) | {"Location": f"/v1/jobs/{job.id}"} | dict(headers or {})
    return _job_response(told, status=200 if _is_final(told) else 202, headers=more)


async def _replayed(replay: Replay, request: Request, backends: Backends, caller: Caller) -> Response:
    """The first answer again; a client that would like to wait is told how the job stands now."""
    if not preferred_wait_s(request, most_s=backends.settings.max_wait_s):
        return replayed(replay, status=202, retry_after=LOOK_AGAIN_S)
    told = await _reader(backends, replay.location.rpartition("/")[2], caller)()
    return await _accepted(told.job, request, backends, caller, {"Idempotency-Replayed": "true"})


async def _request(backends: Backends, job_id: str, order: Literal["cancel", "stop"], caller: Caller) -> Response:
    job = await run_in_threadpool(backends.ledger.request, job_id, order, tenant=caller.tenant)
    return _job_response(told_of(job), status=200)


def _reader(backends: Backends, job_id: str, caller: Caller) -> Callable[[], Awaitable[Told]]:
    return lambda: backends.jobs.read(job_id, tenant=caller.tenant)


def _is_final(told: Told) -> bool:
    return told.job.state in TERMINAL_STATES


def _stage(told: Told) -> tuple[object, ...]:
    return told.job.state, told.job.phase, told.job.attempt


def _job_response(told: Told, *, status: int, headers: Mapping[str, str] | None = None) -> Response:
    later = {} if _is_final(told) else {"Retry-After": LOOK_AGAIN_S}
    return Response(told.body, status, headers=later | dict(headers or {}), media_type="application/json")


def _label(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not text.isprintable():
        detail = f"a label filter is KEY=VALUE, found {text[:80]!r}"
        problem = FieldProblem(pointer="/query/label", detail=detail)
        raise HttpRefusal(422, detail, hint="For example ?label=team=vision.", fields=[problem])
    return key, value
