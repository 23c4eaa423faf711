"""Artifacts: list, and download with resumption and a digest that the client can check.

An artifact is content under its sha-256, so its tag is that digest, a copy never grows stale and a download that broke
off goes on where it ended.
"""

from __future__ import annotations

import base64
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from api_schemas.jobs import TERMINAL_STATES, ArtifactList, ArtifactRef
from service.backends import Backends, TheBackends
from service.callers import Caller, Reader
from service.conditional import ByteRange, RangeNotSatisfiable, matches, requested_range
from service.documents import binary
from service.jobs import LOOK_AGAIN_S
from service.links import linked_artifact
from service.problems import HttpRefusal
from sterna.errors import NotFound, ServiceUnavailable

router = APIRouter(prefix="/v1/jobs/{job_id}/artifacts", tags=["artifacts"])


@router.get("")
async def list_artifacts(job_id: str, backends: TheBackends, caller: Reader) -> ArtifactList:
    """The files of a job that has ended: 409 before, an empty list when it failed or was cancelled."""
    artifacts = await run_in_threadpool(_artifacts, backends, job_id, caller)
    return ArtifactList(artifacts=tuple(linked_artifact(job_id, artifact) for artifact in artifacts))


@router.get("/{name}", response_class=StreamingResponse, responses=binary("The file, or the part asked for."))
async def download(job_id: str, name: str, request: Request, backends: TheBackends, caller: Reader) -> Response:
    """One file. Takes `Range`, `If-Range` and `If-None-Match`."""
    artifact = await run_in_threadpool(_artifact, backends, job_id, name, caller)
    headers = _headers(artifact)
    if (known := request.headers.get("if-none-match")) is not None and matches(known, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    part = _part(request, artifact, headers["ETag"])
    status = 200
    if part is None:
        part = ByteRange(0, artifact.bytes)
    else:
        status = 206
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{artifact.bytes}"
    headers["Content-Length"] = str(part.end - part.start)
    content = backends.blobs.stream(artifact.sha256, part.start, part.end)
    return StreamingResponse(content, status, headers=headers, media_type=artifact.media_type)


@router.head("/{name}", include_in_schema=False)
async def describe(job_id: str, name: str, request: Request, backends: TheBackends, caller: Reader) -> Response:
    """The headers of the whole file."""
    artifact = await run_in_threadpool(_artifact, backends, job_id, name, caller)
    headers = _headers(artifact)
    if (known := request.headers.get("if-none-match")) is not None and matches(known, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    headers["Content-Length"] = str(artifact.bytes)
    return Response(headers=headers, media_type=artifact.media_type)


def _artifacts(backends: Backends, job_id: str, caller: Caller) -> tuple[ArtifactRef, ...]:
    job = backends.ledger.job(job_id, tenant=caller.tenant)
    if job.state not in TERMINAL_STATES:
        raise HttpRefusal(
            409,
            f"job {job_id} is {job.state}; its artifacts are there once it has succeeded",
            hint="look at the job with Prefer: wait=N until it has ended",
            headers={"Retry-After": LOOK_AGAIN_S},
        )
    return () if job.result is None else job.result.artifacts


def _artifact(backends: Backends, job_id: str, name: str, caller: Caller) -> ArtifactRef:
    artifacts = _artifacts(backends, job_id, caller)
    for artifact in artifacts:
        if artifact.name == name:
            if not backends.blobs.has(artifact.sha256):
                raise ServiceUnavailable(
                    f"the content of {name!r} is missing from the blob store",
                    hint="Try again in a moment; if it stays away, the operator has to look at the storage.",
                )
            return artifact
    have = ", ".join(artifact.name for artifact in artifacts) or "no artifacts"
    raise NotFound(
        f"job {job_id} has no artifact {name[:80]!r}; it has {have}",
        hint="Ask for one that it has; a job that failed has none and says why in its `error`.",
    )


def _part(request: Request, artifact: ArtifactRef, etag: str) -> ByteRange | None:
    wanted, if_range = request.headers.get("range"), request.headers.get("if-range")
    try:
        return requested_range(wanted, if_range, etag=etag, size_bytes=artifact.bytes)
    except RangeNotSatisfiable:
        raise HttpRefusal(
            416,
            f"the range begins behind the last of {artifact.bytes} bytes",
            hint="the file may be complete already: compare its sha-256 with the ETag",
            headers={"Content-Range": f"bytes */{artifact.bytes}"},
        ) from None


def _headers(artifact: ArtifactRef) -> dict[str, str]:
    digest = base64.b64encode(bytes.fromhex(artifact.sha256)).decode()
    return {
        "ETag": f'"{artifact.sha256}"',
        "Repr-Digest": f"sha-256=:{digest}:",
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Disposition": _disposition(artifact.name),
        "X-Content-Type-Options": "nosniff",
    }


def _disposition(name: str) -> str:
    """Always a download, never shown in a browser; RFC 6266."""
    if all(c.isascii() and (c.isalnum() or c in "._- ") for c in name):
        return f'attachment; filename="{name}"'
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"
