"""Parts of uploads that are still on their way: sent in any order, as often as needed, joined when all are there.

    uploads/upl_…/whole         in a local folder: each part is written at its place in one file
    uploads/upl_…/0, 1, …       in a store elsewhere: each part is an object

In a folder nothing is copied to join parts: the file is hashed and renamed. So a sender who still writes to it must
not reach what it has become. Each write holds a lock that joining takes for itself, and looks whether the file is
still the one of the upload.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import TracebackType
from typing import Final, Protocol, Self

import obstore
from obstore.store import ObjectStore

from sterna.errors import Conflict, NotFound

WRITE_BYTES: Final = 8 * 2**20
_READ_BYTES: Final = 2**20


class PartWriter(Protocol):
    """Takes the bytes of one part, in order, for the length of a `with` block."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def write(self, piece: bytes | memoryview) -> None:
        """Take a piece.

        Raises:
            Conflict: the upload was completed meanwhile.
        """

    def finish(self) -> None:
        """Say that the part is whole; one that is left without is as good as never sent."""


class Parts(Protocol):
    """Where parts wait."""

    def writer(self, upload_id: str, n: int, *, begin: int, scratch: Path) -> PartWriter:
        """To send part `n` in place of any that was there.

        Args:
            upload_id: of which upload.
            n: which of its parts.
            begin: where it begins in the whole, in bytes.
            scratch: an existing folder, for a store that takes a part only once it is whole.
        """

    def join(self, upload_id: str, numbers: Sequence[int], *, key: str, sha256: str) -> str:
        """Make the parts one object `key`, if that is their digest.

        Returns:
            The sha-256 of what the parts hold. Where it is another, nothing was stored.

        Raises:
            NotFound: a part is not there.
        """

    def drop(self, upload_id: str, numbers: Sequence[int]) -> None:
        """Remove parts; those that are not there are passed over."""


class FolderParts:
    """Parts in a local folder, which is the store's own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def writer(self, upload_id: str, n: int, *, begin: int, scratch: Path) -> PartWriter:  # noqa: ARG002
        """See `Parts`."""
        path = self._whole(upload_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        return _PlaceWriter(path, begin)

    def join(self, upload_id: str, numbers: Sequence[int], *, key: str, sha256: str) -> str:  # noqa: ARG002  all in one
        """See `Parts`."""
        whole, target = self._whole(upload_id), self._folder / key
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(whole, os.O_RDWR)
        except FileNotFoundError:
            raise NotFound(f"the parts of upload {upload_id} are not stored", hint="send them again") from None
        with os.fdopen(descriptor, "rb", buffering=0) as file, _locked(descriptor, fcntl.LOCK_EX):
            digest = hashlib.sha256()
            buffer = memoryview(bytearray(_READ_BYTES))
            while read := file.readinto(buffer):
                digest.update(buffer[:read])
            if digest.hexdigest() == sha256:
                whole.replace(target)
        return digest.hexdigest()

    def drop(self, upload_id: str, numbers: Sequence[int]) -> None:  # noqa: ARG002  of the protocol
        """See `Parts`."""
        shutil.rmtree(self._whole(upload_id).parent, ignore_errors=True)

    def _whole(self, upload_id: str) -> Path:
        return self._folder / "uploads" / upload_id / "whole"


class _PlaceWriter:
    def __init__(self, path: Path, begin: int) -> None:
        self._path = path
        self._at = begin
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def write(self, piece: bytes | memoryview) -> None:
        rest = memoryview(piece)
        with _locked(self._descriptor, fcntl.LOCK_SH):
            if not self._is_the_uploads():
                raise Conflict("the upload was completed meanwhile", hint="nothing needs to be sent")
            while rest:
                written = os.pwrite(self._descriptor, rest, self._at)
                self._at += written
                rest = rest[written:]

    def finish(self) -> None:
        """The bytes are in place already."""

    def _is_the_uploads(self) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False


class ObjectParts:
    """Parts as objects of a store elsewhere, each written to a scratch file first."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def writer(self, upload_id: str, n: int, *, begin: int, scratch: Path) -> PartWriter:  # noqa: ARG002
        """See `Parts`."""
        return _ObjectWriter(self._store, _part_key(upload_id, n), scratch)

    def join(self, upload_id: str, numbers: Sequence[int], *, key: str, sha256: str) -> str:
        """See `Parts`."""
        digest = hashlib.sha256()
        # Not a `with` block: what is closed appears in the store, what is only let go does not.
        writer = obstore.open_writer(self._store, key, buffer_size=WRITE_BYTES, max_concurrency=2)
        for chunk in self._chunks(upload_id, numbers):
            digest.update(chunk)
            writer.write(chunk)
        if digest.hexdigest() == sha256:
            writer.close()
        return digest.hexdigest()

    def drop(self, upload_id: str, numbers: Sequence[int]) -> None:
        """See `Parts`."""
        for n in numbers:
            try:
                obstore.delete(self._store, _part_key(upload_id, n))
            except FileNotFoundError:
                continue

    def _chunks(self, upload_id: str, numbers: Sequence[int]) -> Iterator[bytes]:
        for n in numbers:
            try:
                answer = obstore.get(self._store, _part_key(upload_id, n))
            except FileNotFoundError:
                raise NotFound(f"part {n} of upload {upload_id} is not stored", hint="send it again") from None
            for chunk in answer.stream(min_chunk_size=WRITE_BYTES):
                yield bytes(chunk)


class _ObjectWriter:
    def __init__(self, store: ObjectStore, key: str, scratch: Path) -> None:
        self._store = store
        self._key = key
        self._file = NamedTemporaryFile(dir=scratch)  # noqa: SIM115  closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, piece: bytes | memoryview) -> None:
        self._file.write(piece)

    def finish(self) -> None:
        self._file.flush()
        obstore.put(self._store, self._key, Path(self._file.name), chunk_size=WRITE_BYTES, max_concurrency=2)


def _part_key(upload_id: str, n: int) -> str:
    return f"uploads/{upload_id}/{n}"


@contextmanager
def _locked(descriptor: int, how: int) -> Iterator[None]:
    fcntl.flock(descriptor, how)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
