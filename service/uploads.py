"""Uploads: create, send numbered parts in any order and as often as needed, complete, inspect.

A known content is complete at once and nothing is sent. Parts go straight to where the blob store keeps them, so an
upload survives both the client's and the service's end; what is missing can be asked at any time.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from starlette.concurrency import run_in_threadpool

from api_schemas.uploads import Inspection, Upload, UploadRequest
from service.backends import Backends, TheBackends
from service.bodies import read_json, refuse_if_announced_larger, save_body
from service.callers import Caller, Reader, Submitter
from service.documents import json_body
from service.preflight import inspect_blob
from service.problems import HttpRefusal
from sterna.errors import Conflict, InvalidSpec, NotFound, UploadDigestMismatch
from storage.uploads import part_numbers, part_size

router = APIRouter(prefix="/v1/uploads", tags=["uploads"])

PartNumber = Annotated[int, Path(ge=0, lt=2**31)]


@router.post("", status_code=201, openapi_extra=json_body(UploadRequest))
async def create_upload(request: Request, response: Response, backends: TheBackends, caller: Submitter) -> Upload:
    """Begin an upload. 200 instead of 201 when the content is known and nothing needs to be sent."""
    wanted = await read_json(request, UploadRequest, most_bytes=backends.settings.max_json_bytes)
    upload = await run_in_threadpool(_create, backends, wanted, caller)
    response.status_code = 200 if upload.complete else 201
    response.headers["Location"] = f"/v1/uploads/{upload.id}"
    return upload


@router.get("/{upload_id}")
async def get_upload(upload_id: str, backends: TheBackends, caller: Reader) -> Upload:
    """How an upload stands; `missing_parts` is what to send after an interruption."""
    return await run_in_threadpool(backends.ledger.upload, upload_id, tenant=caller.tenant)


@router.put("/{upload_id}/parts/{n}")
async def put_part(upload_id: str, n: PartNumber, request: Request, backends: TheBackends, caller: Submitter) -> Upload:
    """Send one part: exactly `part_bytes` bytes, the last part what is left. Sending it again replaces it."""
    upload = await run_in_threadpool(backends.ledger.upload, upload_id, tenant=caller.tenant)
    if upload.complete:
        raise Conflict(f"upload {upload_id} is complete", hint="nothing needs to be sent")
    expected = part_size(upload, n)
    hint = f"cut the file into parts of {upload.part_bytes} bytes"
    refuse_if_announced_larger(request, expected, hint=hint)
    if n not in upload.missing_parts:
        # Until the new one is whole there is neither it nor the old one, which it may be written over.
        await run_in_threadpool(backends.ledger.forget_part, upload_id, n)
    begin, scratch = n * upload.part_bytes, backends.settings.scratch_folder
    with backends.blobs.part_writer(upload_id, n, begin=begin, scratch=scratch) as part:
        received = await save_body(request, part.write, most_bytes=expected, hint=hint)
        if received != expected:
            raise InvalidSpec(f"part {n} has {received} bytes, it must have {expected}", hint=hint)
        await run_in_threadpool(part.finish)
    return await run_in_threadpool(backends.ledger.mark_part, upload_id, n, tenant=caller.tenant)


@router.post("/{upload_id}/complete")
async def complete_upload(upload_id: str, backends: TheBackends, caller: Submitter) -> Upload:
    """Join the parts and check the sha-256 that was promised. Completing twice is completing once."""
    return await run_in_threadpool(_complete, backends, upload_id, caller)


@router.get("/{upload_id}/inspection")
async def inspect_upload(upload_id: str, backends: TheBackends, caller: Reader) -> Inspection:
    """What the model is made of and which of its layers can be made ternary."""
    sha256 = await run_in_threadpool(backends.ledger.upload_sha256, upload_id, tenant=caller.tenant)
    return await inspect_blob(backends, sha256)


def _create(backends: Backends, wanted: UploadRequest, caller: Caller) -> Upload:
    settings, ledger = backends.settings, backends.ledger
    if wanted.bytes > settings.max_upload_bytes:
        raise HttpRefusal(
            413,
            f"{wanted.bytes} bytes are more than the {settings.max_upload_bytes} that are taken",
            hint="Send a smaller file, or ask the operator for a higher limit.",
        )
    # Pinned before it is looked for: from here on it is not collected until the upload refers to it.
    ledger.pin(wanted.sha256)
    known = ledger.knows_content(wanted.sha256, tenant=caller.tenant) and backends.blobs.has(wanted.sha256)
    if known and (size := backends.blobs.size(wanted.sha256)) != wanted.bytes:
        raise InvalidSpec(
            f"the content with that sha-256 has {size} bytes, not {wanted.bytes}", hint="hash the file again"
        )
    return ledger.create_upload(
        wanted,
        part_bytes=settings.part_bytes,
        complete=known,
        tenant=caller.tenant,
        most_bytes=settings.tenant_bytes,
    )


def _complete(backends: Backends, upload_id: str, caller: Caller) -> Upload:
    ledger, blobs = backends.ledger, backends.blobs
    upload = ledger.upload(upload_id, tenant=caller.tenant)
    if upload.complete:
        return upload
    if upload.missing_parts:
        some = ", ".join(map(str, upload.missing_parts[:10]))
        raise Conflict(
            f"{len(upload.missing_parts)} parts of upload {upload_id} are missing: {some}",
            hint="send the missing parts, then complete it again",
        )
    ledger.pin(upload.sha256)
    try:
        found = blobs.compose(upload_id, part_numbers(upload), sha256=upload.sha256)
    except NotFound:
        # Somebody else may have completed it meanwhile, and dropped the parts.
        if (upload := ledger.upload(upload_id, tenant=caller.tenant)).complete:
            return upload
        ledger.forget_parts(upload_id)
        raise
    if found != upload.sha256:
        ledger.forget_parts(upload_id)
        raise UploadDigestMismatch(
            f"the parts have the sha-256 {found}, promised was {upload.sha256}",
            hint="all parts count as missing again: send them once more, or begin a new upload",
        )
    finished = ledger.finish_upload(upload_id, tenant=caller.tenant)
    blobs.drop_parts(upload_id, part_numbers(upload))
    return finished
