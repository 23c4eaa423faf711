"""`POST /v1/jobs` as one form: the files `model` and `data` go to disk as they arrive, the field `spec` to memory.

Starlette's own parser spools files under the system's temporary folder, which may be memory, and hands out open files
where the readers of models want paths. So the callbacks of python-multipart are used directly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool

from api_schemas.problems import FieldProblem
from service.bodies import pieces, refuse_if_announced_larger, too_large
from service.problems import HttpRefusal
from storage import Settings

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_FILES = ("model", "data")
_FORM_HINT = "Send a form such as curl's: -F model=@model.pt2 -F data=@data.npz -F 'spec={\"target_sparsity\": 0.7}'."
_BOUNDARY_HINT = "Let the client make the header: with curl, give -F and no Content-Type of your own."
_SEND_AGAIN = "Send it again, whole; large files go in parts: POST /v1/uploads."
_USE_UPLOADS = "send large files in parts: POST /v1/uploads, then name the uploads in a JSON spec"


@dataclass(slots=True)
class JobForm:
    """What a form held.

    Attributes:
        spec: the text of its field.
        files: where its files were written, by field name.
        filenames: what the sender calls them, by field name.
    """

    spec: bytes = b""
    files: dict[str, Path] = field(default_factory=dict)
    filenames: dict[str, str] = field(default_factory=dict)


async def read_job_form(request: Request, folder: Path, settings: Settings) -> JobForm:
    """Reads the form of a job into a folder.

    Raises:
        HttpRefusal: it is malformed, too large, or its fields are not `spec`, `model` and `data`.
    """
    # What frames the files is small beside them; the spec has a cap of its own.
    most_bytes = settings.max_multipart_bytes + settings.max_json_bytes
    refuse_if_announced_larger(request, most_bytes, hint=_USE_UPLOADS)
    form = _FormReader(folder, spec_bytes=settings.max_json_bytes)
    try:
        parser = MultipartParser(_boundary(request), form.callbacks())
        received = 0
        async for piece in pieces(request):
            received += len(piece)
            if received > most_bytes:
                raise too_large(most_bytes, hint=_USE_UPLOADS)
            await run_in_threadpool(parser.write, piece)
        await run_in_threadpool(parser.finalize)
    except FormParserError:
        raise HttpRefusal(400, "the multipart form is malformed or truncated", hint=_SEND_AGAIN) from None
    finally:
        form.close()
    return form.finished()


def _boundary(request: Request) -> bytes:
    _, parameters = parse_options_header(request.headers["content-type"])
    boundary = parameters.get(b"boundary", b"")
    if not boundary:
        raise HttpRefusal(400, "the Content-Type of the form names no boundary", hint=_BOUNDARY_HINT)
    return boundary


class _FormReader:
    """Collects one form; its methods are called by the parser, in whatever thread feeds it."""

    def __init__(self, folder: Path, *, spec_bytes: int) -> None:
        self._folder = folder
        self._spec_bytes = spec_bytes
        self._form = JobForm()
        self._spec: bytearray | None = None
        self._whole = False
        self._file: BinaryIO | None = None
        self._clear_part()

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._clear_part,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self.close,
            "on_end": self._on_end,
        }

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def finished(self) -> JobForm:
        if not self._whole:
            raise HttpRefusal(400, "the multipart form is truncated: its closing boundary is missing", hint=_SEND_AGAIN)
        for name, have in (("spec", self._spec is not None), ("model", "model" in self._form.files)):
            if not have:
                raise _refused(name, f"the form has no field {name!r}; it needs spec and model, and may have data")
        self._form.spec = bytes(self._spec or b"")
        return self._form

    def _clear_part(self) -> None:
        self.close()
        self._name = ""
        self._header_field = b""
        self._header_value = b""
        self._disposition = b""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_field += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header_field.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_field = self._header_value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode("utf-8", errors="replace")
        if self._name == "spec" and self._spec is None:
            self._spec = bytearray()
        elif self._name in _FILES and self._name not in self._form.files:
            self._begin_file(options.get(b"filename", b"").decode("utf-8", errors="replace"))
        else:
            known = self._name == "spec" or self._name in _FILES
            why = "is there twice" if known else "is unknown; the form takes spec, model and data"
            raise _refused(self._name, f"the field {self._name[:80]!r} {why}")

    def _begin_file(self, filename: str) -> None:
        # The path is made of our own word; the sender's name is only remembered.
        path = self._folder / self._name
        self._file = path.open("wb")
        self._form.files[self._name] = path
        printable = "".join(c for c in filename if c.isprintable())
        self._form.filenames[self._name] = printable[:255] or self._name

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])
        elif self._spec is not None:
            self._spec += data[start:end]
            if len(self._spec) > self._spec_bytes:
                raise HttpRefusal(
                    413, f"the field 'spec' is larger than {self._spec_bytes} bytes", hint="Send fewer labels."
                )

    def _on_end(self) -> None:
        self._whole = True


def _refused(name: str, detail: str) -> HttpRefusal:
    return HttpRefusal(422, detail, hint=_FORM_HINT, fields=[FieldProblem(pointer=f"/{name[:80]}", detail=detail)])
