"""Reading what somebody wants compressed: a JSON spec that names uploads, or a form with the files themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi import Request
from pydantic_core import from_json, to_json
from starlette.concurrency import run_in_threadpool

from api_schemas.jobs import CompressSpec, JobSpec
from api_schemas.problems import FieldProblem
from api_schemas.uploads import UploadRequest
from service.backends import Backends
from service.bodies import media_type_of, parse_json, read_json, refuse_repeated_names
from service.callers import Caller
from service.estimates import Case
from service.idempotency import fingerprint
from service.multipart import read_job_form
from service.preflight import check_blobs, check_files
from service.problems import HttpRefusal
from sterna.digest import file_digest
from sterna.errors import Conflict, NotFound
from sterna.intake import ModelInspection

SPEC_HINT = """Send a JSON object such as {"target_sparsity": 0.7}."""
_NO_UPLOAD = "upl_" + "0" * 32


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody asks for.

    Attributes:
        spec: with a stand-in for `model` where the files came along.
        files: what came along, by field name; empty where the spec names uploads.
        filenames: what the sender calls them.
        digests: their sha-256.
    """

    spec: JobSpec
    files: dict[str, Path] = field(default_factory=dict)
    filenames: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    @property
    def payload(self) -> str:
        """The same for the same request, whatever the boundary of its form and the order of its fields."""
        return fingerprint(
            self.spec.model_dump_json(), *(f"{name}={self.digests[name]}" for name in sorted(self.files))
        )


@asynccontextmanager
async def read_order(request: Request, backends: Backends) -> AsyncIterator[Order]:
    """Reads the body of a request; the files of a form lie in a scratch folder for the length of the block."""
    if media_type_of(request) != "multipart/form-data":
        yield Order(await read_json(request, JobSpec, most_bytes=backends.settings.max_json_bytes))
        return
    with TemporaryDirectory(dir=backends.settings.scratch_folder) as folder:
        form = await read_job_form(request, Path(folder), backends.settings)
        spec = _form_spec(form.spec)
        digests = {name: await run_in_threadpool(file_digest, path) for name, path in form.files.items()}
        yield Order(spec, form.files, form.filenames, digests)


async def checked(order: Order, backends: Backends, caller: Caller) -> tuple[JobSpec, ModelInspection]:
    """Reads the files as far as that goes without torch, and stores those of a form once they can be used.

    Returns:
        The spec, every file an upload of the caller's; and what is known of the model.

    Raises:
        HttpRefusal: an upload cannot be used.
        InputError: the files cannot be used; each class says why and what to do.
        TargetUnreachable: so few weights cannot have the sparsity asked for.
    """
    if not order.files:
        return order.spec, await check_uploads(order.spec, order.spec.model, order.spec.data, backends, caller)
    inspection = await check_files(backends, order.files["model"], order.files.get("data"), order.spec)
    ids = await run_in_threadpool(_stored, order, backends, caller)
    return order.spec.model_copy(update=ids), inspection


async def estimated_case(order: Order, backends: Backends, caller: Caller) -> Case:
    """What is known of a job that is not made; nothing is stored.

    Raises:
        HttpRefusal, InputError, TargetUnreachable: as `checked`.
    """
    spec, ledger = order.spec, backends.ledger
    if order.files:
        data = order.files.get("data")
        found = await check_files(backends, order.files["model"], data, spec)
        sha256, data_bytes = order.digests["model"], 0 if data is None else data.stat().st_size
    else:
        found = await check_uploads(spec, spec.model, spec.data, backends, caller)
        model = await run_in_threadpool(ledger.upload, spec.model, tenant=caller.tenant)
        sha256, data_bytes = model.sha256, 0
        if spec.data is not None:
            data_bytes = (await run_in_threadpool(ledger.upload, spec.data, tenant=caller.tenant)).bytes
    pace = await run_in_threadpool(ledger.pace, sha256, tenant=caller.tenant)
    return Case(spec, found, data_bytes, pace)


async def check_uploads(
    spec: CompressSpec, model: str, data: str | None, backends: Backends, caller: Caller
) -> ModelInspection:
    """Checks uploads of the caller's against a spec.

    Raises:
        HttpRefusal: an upload is not there or not complete.
        InputError, TargetUnreachable: as `checked`.
    """
    model_blob = await _blob_of(model, "/model", backends, caller)
    data_blob = None if data is None else await _blob_of(data, "/data", backends, caller)
    return await check_blobs(backends, model_blob, data_blob, spec)


async def _blob_of(upload_id: str, pointer: str, backends: Backends, caller: Caller) -> str:
    try:
        return await run_in_threadpool(backends.ledger.upload_sha256, upload_id, tenant=caller.tenant)
    except (NotFound, Conflict) as error:
        problem = FieldProblem(pointer=pointer, detail=error.detail)
        raise HttpRefusal(422, error.detail, hint=error.hint, fields=[problem]) from None


def _form_spec(text: bytes) -> JobSpec:
    try:
        fields: Any = from_json(text)
    except ValueError as error:
        raise HttpRefusal(422, f"the field 'spec' is not JSON: {error}", hint=SPEC_HINT) from None
    if not isinstance(fields, dict):
        raise HttpRefusal(422, "the field 'spec' must be a JSON object", hint=SPEC_HINT)
    refuse_repeated_names(text)
    for name in ("model", "data"):
        if name in fields:
            detail = f"in a form {name!r} is a file, the spec must not name an upload for it"
            hint = f"Leave {name!r} out of the spec, or send the whole spec as JSON with upload ids and no form."
            raise HttpRefusal(422, detail, hint=hint, fields=[FieldProblem(pointer=f"/{name}", detail=detail)])
    return parse_json(JobSpec, to_json(fields | {"model": _NO_UPLOAD}))


def _stored(order: Order, backends: Backends, caller: Caller) -> dict[str, str]:
    ids: dict[str, str] = {}
    for name, path in order.files.items():
        sha256 = order.digests[name]
        sent = UploadRequest(filename=order.filenames[name], bytes=path.stat().st_size, sha256=sha256)
        backends.ledger.pin(sha256)
        known = backends.ledger.knows_content(sha256, tenant=caller.tenant)
        # Counted before it is stored, as a part of an upload would be.
        upload = backends.ledger.create_upload(
            sent,
            part_bytes=backends.settings.part_bytes,
            complete=known,
            tenant=caller.tenant,
            most_bytes=backends.settings.tenant_bytes,
        )
        backends.blobs.put_file(path)
        backends.ledger.finish_upload(upload.id, tenant=caller.tenant)
        ids[name] = upload.id
    return ids
