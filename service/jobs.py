"""Jobs: submit, list, look and wait, cancel, stop, events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic_core import from_json, to_json
from starlette.concurrency import run_in_threadpool

from api_schemas.events import EventList
from api_schemas.jobs import TERMINAL_STATES, Job, JobList, JobSpec, JobState
from api_schemas.problems import FieldProblem
from api_schemas.queue import JobMessage
from api_schemas.uploads import UploadRequest
from service.backends import Backends, TheBackends
from service.bodies import media_type_of, parse_json, read_json
from service.conditional import content_etag, matches
from service.documents import job_body
from service.links import linked, linked_list
from service.multipart import JobForm, read_job_form
from service.prefer import applied, preferred_wait_s, wait_until
from service.preflight import check_blobs, check_files
from service.problems import HttpRefusal
from sterna.errors import Conflict, NotFound

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

LOOK_AGAIN_S = "2"
SPEC_HINT = """Send a JSON object such as {"target_sparsity": 0.7}."""
_MOST_JOBS = 200
_MOST_EVENTS = 1000
_NO_UPLOAD = "upl_" + "0" * 32


@router.post("", status_code=202, response_model=Job, openapi_extra=job_body(JobSpec))
async def submit_job(request: Request, backends: TheBackends) -> Response:
    """Submit a job: a JSON spec that names uploads, or a form with the files themselves.

    Files that cannot be used are refused now, and no job is made. With `Prefer: wait=N` the answer comes when the job
    has ended (200) or after N seconds (202).
    """
    media_type = media_type_of(request)
    if media_type == "multipart/form-data":
        spec = await _spec_of_form(request, backends)
    else:
        spec = await read_json(request, JobSpec, most_bytes=backends.settings.max_json_bytes)
        await _check_uploads(spec, backends)
    job = await run_in_threadpool(backends.ledger.submit, spec)
    await run_in_threadpool(backends.queue.send, JobMessage(job_id=job.id, attempt=job.attempt))

    wait_s = preferred_wait_s(request, most_s=backends.settings.max_wait_s)
    if wait_s:
        job = await wait_until(_is_final, _reader(backends, job.id), wait_s=wait_s, request=request)
    headers = applied(wait_s) | {"Location": f"/v1/jobs/{job.id}"}
    return _job_response(job, status=200 if _is_final(job) else 202, headers=headers)


@router.get("")
async def list_jobs(
    backends: TheBackends,
    page_size: Annotated[int, Query(ge=0, lt=2**31)] = 0,
    page_token: Annotated[str, Query(max_length=512)] = "",
    state: JobState | None = None,
    label: Annotated[str | None, Query(max_length=400, description="KEY=VALUE")] = None,
) -> JobList:
    """A page of jobs, newest first. At most 200 at a time, 50 when `page_size` is 0 or left out."""
    page = await run_in_threadpool(
        backends.ledger.jobs,
        state=state,
        label=_label(label),
        page_size=min(page_size or 50, _MOST_JOBS),
        page_token=page_token,
    )
    return linked_list(page)


@router.get("/{job_id}", response_model=Job)
async def get_job(job_id: str, request: Request, backends: TheBackends) -> Response:
    """How a job stands.

    With `Prefer: wait=N` the answer comes when the job's state, phase or attempt changes, when it is final, or after N
    seconds, whichever is first; progress alone does not end the wait. With `If-None-Match` as well, a representation
    that is already another one is answered at once, and one that is still the same after the wait with 304.
    """
    read = _reader(backends, job_id)
    job = await read()
    known = request.headers.get("if-none-match")
    wait_s = preferred_wait_s(request, most_s=backends.settings.max_wait_s)
    if wait_s and (known is None or matches(known, content_etag(_body(job)))):
        seen = _stage(job)
        job = await wait_until(lambda now: _is_final(now) or _stage(now) != seen, read, wait_s=wait_s, request=request)
    headers = applied(wait_s) | {"ETag": content_etag(_body(job)), "Cache-Control": "private, no-cache"}
    if known is not None and matches(known, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return _job_response(job, status=200, headers=headers)


@router.post("/{job_id}/cancel", response_model=Job)
async def cancel_job(job_id: str, backends: TheBackends) -> Response:
    """Throw the job away: at once when it is queued, within seconds when it runs."""
    return await _request(backends, job_id, "cancel")


@router.post("/{job_id}/stop", response_model=Job)
async def stop_job(job_id: str, backends: TheBackends) -> Response:
    """Finish now with the best so far."""
    return await _request(backends, job_id, "stop")


@router.get("/{job_id}/events")
async def list_events(
    job_id: str,
    backends: TheBackends,
    after: Annotated[int, Query(ge=0, lt=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, lt=2**31)] = _MOST_EVENTS,
) -> EventList:
    """What happened after the event numbered `after`, oldest first, at most 1000 at a time."""
    return await run_in_threadpool(backends.ledger.events, job_id, after=after, limit=min(limit, _MOST_EVENTS))


async def _check_uploads(spec: JobSpec, backends: Backends) -> None:
    model = await _blob_of(spec.model, "/model", backends)
    data = None if spec.data is None else await _blob_of(spec.data, "/data", backends)
    await check_blobs(backends, model, data, spec)


async def _blob_of(upload_id: str, pointer: str, backends: Backends) -> str:
    try:
        return await run_in_threadpool(backends.ledger.upload_sha256, upload_id)
    except (NotFound, Conflict) as error:
        field = FieldProblem(pointer=pointer, detail=error.detail)
        raise HttpRefusal(422, error.detail, hint=error.hint, fields=[field]) from None


async def _spec_of_form(request: Request, backends: Backends) -> JobSpec:
    """Reads, checks and stores the files of a form; only files that can be used reach the blob store."""
    with TemporaryDirectory(dir=backends.settings.scratch_folder) as folder:
        form = await read_job_form(request, Path(folder), backends.settings)
        spec = _form_spec(form.spec)
        await check_files(backends, form.files["model"], form.files.get("data"), spec)
        return await run_in_threadpool(_stored, form, spec, backends)


def _form_spec(text: bytes) -> JobSpec:
    try:
        fields: Any = from_json(text)
    except ValueError as error:
        raise HttpRefusal(422, f"the field 'spec' is not JSON: {error}", hint=SPEC_HINT) from None
    if not isinstance(fields, dict):
        raise HttpRefusal(422, "the field 'spec' must be a JSON object", hint=SPEC_HINT)
    for name in ("model", "data"):
        if name in fields:
            detail = f"in a form {name!r} is a file, the spec must not name an upload for it"
            raise HttpRefusal(422, detail, fields=[FieldProblem(pointer=f"/{name}", detail=detail)])
    return parse_json(JobSpec, to_json(fields | {"model": _NO_UPLOAD}))


def _stored(form: JobForm, spec: JobSpec, backends: Backends) -> JobSpec:
    ids: dict[str, str] = {}
    for name, path in form.files.items():
        size_bytes = path.stat().st_size
        sha256, _ = backends.blobs.put_file(path)
        sent = UploadRequest(filename=form.filenames[name], bytes=size_bytes, sha256=sha256)
        upload = backends.ledger.create_upload(sent, part_bytes=backends.settings.part_bytes, complete=True)
        ids[name] = upload.id
    return spec.model_copy(update=ids)


async def _request(backends: Backends, job_id: str, order: Literal["cancel", "stop"]) -> Response:
    return _job_response(await run_in_threadpool(backends.ledger.request, job_id, order), status=200)


def _reader(backends: Backends, job_id: str) -> Callable[[], Awaitable[Job]]:
    return lambda: run_in_threadpool(backends.ledger.job, job_id)


def _is_final(job: Job) -> bool:
    return job.state in TERMINAL_STATES


def _stage(job: Job) -> tuple[object, ...]:
    return job.state, job.phase, job.attempt


def _body(job: Job) -> bytes:
    return linked(job).model_dump_json(by_alias=True).encode()


def _job_response(job: Job, *, status: int, headers: Mapping[str, str] | None = None) -> Response:
    later = {} if _is_final(job) else {"Retry-After": LOOK_AGAIN_S}
    return Response(_body(job), status, headers=later | dict(headers or {}), media_type="application/json")


def _label(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    key, sign, value = text.partition("=")
    if not sign or not text.isprintable():
        detail = f"a label filter is KEY=VALUE, found {text[:80]!r}"
        raise HttpRefusal(422, detail, fields=[FieldProblem(pointer="/query/label", detail=detail)])
    return key, value
