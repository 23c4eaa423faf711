"""The embedded queue's transport: kombu's `filesystem://`, made safe for several processes and for damaged files.

    queue/messages/TIME_KEY.QUEUE.msg   a message; of two with one key, the second is not written
    queue/taken/                        a message while it is being read
    queue/refused/                      files that are no messages
    queue/control/NAME.exchange         which queues an exchange feeds

kombu opens a file under its final name and fills it a moment later, moves messages through the machine's temporary
folder, and lets whatever is wrong with a file end the worker. Here a file appears when it is whole, and one that cannot
be read is put aside. A lost message does no harm: the ledger sends what was not claimed once more.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Annotated, Any, Literal

from kombu.transport import filesystem
from kombu.transport.filesystem import LOCK_EX, exchange_queue_t, lock, unlock
from kombu.utils.json import dumps
from pydantic import (
    Base64Bytes,
    BaseModel,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    field_validator,
)

_log = logging.getLogger(__name__)
_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}")
_Name = Annotated[str, StringConstraints(max_length=256)]
_TABLE: TypeAdapter[list[tuple[_Name, _Name, _Name]]] = TypeAdapter(list[tuple[_Name, _Name, _Name]])
_OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
_BODY: TypeAdapter[tuple[list[Any], dict[str, Any], dict[str, Any]]] = TypeAdapter(
    tuple[list[Any], dict[str, Any], dict[str, Any]]
)


class _Headers(BaseModel):
    id: _Name
    task: _Name


class _Properties(BaseModel):
    delivery_tag: _Name
    delivery_info: dict[str, Any]
    body_encoding: Literal["base64"]


class _Payload(BaseModel):
    """What Celery's consumer takes for granted in a message: were it missing, the worker would end."""

    body: Base64Bytes
    content_type: Literal["application/json"] = Field(alias="content-type")
    content_encoding: Literal["utf-8"] = Field(alias="content-encoding")
    headers: _Headers
    properties: _Properties

    @field_validator("body")
    @classmethod
    def _is_a_call(cls, body: bytes) -> bytes:
        _BODY.validate_json(body)
        return body


class Channel(filesystem.Channel):
    """Writes what appears whole, reads nothing that is not."""

    def get_table(self, exchange: str) -> list[exchange_queue_t]:
        """The bindings of an exchange; none where the file is missing or damaged, for it is written anew."""
        file: Path = self._exchange_file(exchange)  # type: ignore[no-untyped-call]
        try:
            rows = _TABLE.validate_json(file.read_bytes())
        except (FileNotFoundError, ValidationError):
            return []
        return [exchange_queue_t(*row) for row in rows]

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        self.control_folder.mkdir(exist_ok=True)
        file: Path = self._exchange_file(exchange)  # type: ignore[no-untyped-call]
        binding = exchange_queue_t(routing_key or "", pattern or "", queue or "")
        with _locked(file.with_suffix(".lock")):
            table = self.get_table(exchange)
            if binding not in table:
                _write(file, dumps([binding, *table]))

    def _put(self, queue: str, payload: dict[str, Any], **_: Any) -> None:  # type: ignore[override]  # noqa: ANN401
        key = str((payload.get("headers") or {}).get("id"))
        if not _KEY.fullmatch(key):
            key = str(uuid.uuid4())
        folder, name = Path(self.data_folder_out), f"{key}.{queue}.msg"
        # A job may wait for days and is announced again and again: while one message lies here, it will be heard.
        if not any(file.name.partition("_")[2] == name for file in folder.iterdir()):
            _write(folder / f"{time.time_ns():020}_{name}", dumps(payload))

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:  # noqa: ARG002  kombu's signature
        names = sorted(file.name for file in Path(self.data_folder_in).iterdir())
        for name in names:
            if name.partition(".")[2] == f"{queue}.msg":
                payload = self._take(name)
                if payload is not None:
                    return payload
        raise Empty

    def _take(self, name: str) -> dict[str, Any] | None:
        """The message of a file; None when another worker was faster or it is none."""
        taken = self._folder_beside("taken") / name
        try:
            Path(self.data_folder_in, name).rename(taken)
            payload = _OBJECT.validate_json(taken.read_bytes())
            _Payload.model_validate(payload)
        except FileNotFoundError:
            return None
        except ValidationError:
            _log.warning("refused %s: not a message", name)
            taken.rename(self._folder_beside("refused") / name)
            return None
        taken.unlink(missing_ok=True)
        return payload

    def _folder_beside(self, name: str) -> Path:
        """A folder in the file system of the messages: there a file is moved in one step, and by one worker alone."""
        folder = Path(self.data_folder_in).parent / name
        folder.mkdir(exist_ok=True)
        return folder


class Transport(filesystem.Transport):
    """`filesystem://` with the channel above."""

    Channel = Channel


def _write(file: Path, text: str) -> None:
    temporary = file.with_name(f".{uuid.uuid4().hex}")
    try:
        temporary.write_text(text)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("wb") as held:
        lock(held, LOCK_EX)
        try:
            yield
        finally:
            unlock(held)
