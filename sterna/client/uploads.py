"""Sends one file in parts: only what the service lacks, each part again until it arrives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from io import FileIO
from pathlib import Path
from urllib.parse import quote

import httpx

from api_schemas import Upload, UploadRequest
from sterna.client.connection import Connection
from sterna.digest import file_digest
from sterna.errors import InputError, InvalidSpec

_AT_ONCE = 3
"""While the service writes one part the next is on its way."""
OnProgress = Callable[[int, int], None]
"""Hears (bytes done, bytes in all)."""
# What a socket takes at once; the rest of a larger block would be copied again and again while it waits.
_BLOCK_BYTES = 2**18


class FileThatIsSent(FileIO):
    """A file that tells of each piece that is read from it, as a request does that sends it.

    Attributes:
        on_read: called after each.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.on_read: Callable[[], None] = lambda: None

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes."""
        piece = super().read(size)
        self.on_read()
        return piece


def upload_file(connection: Connection, path: Path, on_progress: OnProgress) -> Upload:
    """Send a file and have its digest checked; a file that the service knows is not sent again.

    Raises:
        InputError: the file is empty.
    """
    size_bytes = path.stat().st_size
    if size_bytes == 0:
        raise InputError(f"{path} is empty", hint="Export the model or save the data again.")
    request = UploadRequest(filename=path.name[-255:], bytes=size_bytes, sha256=file_digest(path))
    upload = connection.post("/v1/uploads", Upload, harmless=True, json=request.model_dump())
    return _completed(connection, path, upload, on_progress)


def resume_upload(connection: Connection, upload_id: str, path: Path, on_progress: OnProgress) -> Upload:
    """Send what an upload lacks.

    Raises:
        InvalidSpec: it was begun with another file.
    """
    upload = connection.get(f"/v1/uploads/{quote(upload_id, safe='')}", Upload)
    if (upload.bytes, upload.sha256) != (path.stat().st_size, file_digest(path)):
        raise InvalidSpec(
            f"{path} is not the file of {upload.bytes:,} bytes that {upload_id} was begun with", hint="Upload it anew."
        )
    return _completed(connection, path, upload, on_progress)


def _completed(connection: Connection, path: Path, upload: Upload, on_progress: OnProgress) -> Upload:
    if upload.complete:
        on_progress(upload.bytes, upload.bytes)
        return upload
    _send_parts(connection, path, upload, on_progress)
    return connection.post(f"/v1/uploads/{upload.id}/complete", Upload, harmless=True)


def _send_parts(connection: Connection, path: Path, upload: Upload, on_progress: OnProgress) -> None:
    done = upload.bytes - sum(_part_size(upload, n) for n in upload.missing_parts)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        sent = {pool.submit(_send_part, connection, path, upload, n): n for n in upload.missing_parts}
        try:
            for future in as_completed(sent):
                future.result()
                done += _part_size(upload, sent[future])
                on_progress(done, upload.bytes)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _send_part(connection: Connection, path: Path, upload: Upload, n: int) -> None:
    piece = _Piece(path, n * upload.part_bytes, _part_size(upload, n))
    connection.put(f"/v1/uploads/{upload.id}/parts/{n}", piece, size_bytes=piece.size_bytes)


class _Piece(httpx.SyncByteStream):
    """A piece of a file, read as it is sent, and anew each time that it is sent."""

    def __init__(self, path: Path, begin: int, size_bytes: int) -> None:
        self._path = path
        self._begin = begin
        self.size_bytes = size_bytes

    def __iter__(self) -> Iterator[bytes]:
        left = self.size_bytes
        with self._path.open("rb", buffering=0) as file:
            file.seek(self._begin)
            while left:
                block = file.read(min(left, _BLOCK_BYTES))
                if not block:
                    raise InputError(f"{self._path} became shorter while it was sent", hint="Send it again.")
                left -= len(block)
                yield block


def _part_size(upload: Upload, n: int) -> int:
    return min(upload.part_bytes, upload.bytes - n * upload.part_bytes)
