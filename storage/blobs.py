"""The blob store: files under their sha-256, in a local folder, in memory or in an S3-compatible store.

    blobs/ab/ab12…      content, written once and never changed
    uploads/upl_…/      what has arrived of uploads that are still on their way (`storage/parts.py`)

Content appears under its name only when it is whole and its digest has been checked, so what exists is right. Files
of any size pass through in pieces of a few MiB. Nothing is buffered whole.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

import obstore
from obstore.store import LocalStore, MemoryStore, ObjectStore, from_url

from sterna.digest import file_digest
from sterna.errors import ArtifactDigestMismatch, NotFound
from storage.parts import WRITE_BYTES, FolderParts, ObjectParts, Parts, PartWriter

if TYPE_CHECKING:
    from obstore.store import RetryConfig

_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHUNK_BYTES = 4 * 2**20
_FILE_CHUNK_BYTES = 2**20
# A store that is away is told of after seconds: requests are answered with 503 then, and workers have a patience of
# their own (obstore's default is three minutes).
_RETRIES: Final[RetryConfig] = {"max_retries": 3, "retry_timeout": timedelta(seconds=10)}


class BlobStore:
    """Content by its digest. Safe to use from several threads."""

    def __init__(self, store: ObjectStore, *, folder: Path | None = None) -> None:
        self._store = store
        self._folder = folder
        self._parts: Parts = ObjectParts(store) if folder is None else FolderParts(folder)

    @classmethod
    def open(cls, url: str) -> BlobStore:
        """Opens a store, making its folder where it is a local one.

        Args:
            url: `file:///FOLDER`, `memory://`, or an address that obstore knows, such as `s3://bucket/prefix`; its
                credentials come from the environment (`AWS_…`).
        """
        parts = urlsplit(url)
        if parts.scheme == "file":
            folder = Path(unquote(parts.path))
            return cls(LocalStore(folder, mkdir=True), folder=folder)
        if parts.scheme == "memory":
            return cls(MemoryStore())
        return cls(from_url(url, retry_config=_RETRIES))

    def ping(self) -> None:
        """Asks the store for the least that it can answer; raises what obstore raises when it cannot."""
        if self._folder is not None and not self._folder.is_dir():
            raise FileNotFoundError(self._folder)
        obstore.list_with_delimiter(self._store, prefix="ping")

    def digests(self) -> Iterator[str]:
        """The sha-256 of everything that is stored, in no order."""
        for page in obstore.list(self._store, prefix="blobs"):
            for entry in page:
                name = entry["path"].rpartition("/")[2]
                if _SHA256.fullmatch(name):  # a local folder may hold what was being written when somebody was killed
                    yield name

    def put_file(self, path: Path) -> tuple[str, int]:
        """Stores a file; content that is there already is not written again.

        Returns:
            Its sha-256 in hex and its size in bytes.
        """
        sha256 = file_digest(path)
        if not self.has(sha256):
            obstore.put(self._store, _key(sha256), path, chunk_size=WRITE_BYTES, max_concurrency=2)
        return sha256, path.stat().st_size

    def has(self, sha256: str) -> bool:
        """Whether that content is stored."""
        try:
            obstore.head(self._store, _key(sha256))
        except FileNotFoundError:
            return False
        return True

    def size(self, sha256: str) -> int:
        """Bytes of a blob.

        Raises:
            NotFound: it is not stored.
        """
        try:
            return obstore.head(self._store, _key(sha256))["size"]
        except FileNotFoundError:
            raise _no_blob(sha256) from None

    def stream(self, sha256: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` up to but not including `end`, in pieces of a few MiB at most.

        Raises:
            NotFound: it is not stored; at the first piece.
        """
        read = self._read if self._folder is None else self._read_file
        yield from read(_key(sha256), start, self.size(sha256) if end is None else end)

    def fetch(self, sha256: str, path: Path) -> None:
        """Copies a blob to a file and checks its digest.

        Raises:
            NotFound: it is not stored.
            ArtifactDigestMismatch: the store does not hold what was put there; no file is left.
        """
        digest = hashlib.sha256()
        with path.open("wb") as file:
            for chunk in self.stream(sha256):
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != sha256:
            path.unlink()
            raise ArtifactDigestMismatch(
                f"blob {sha256} holds bytes whose sha-256 is {digest.hexdigest()}",
                hint="the blob store is damaged: send the file again under a new upload",
            )

    @contextmanager
    def as_file(self, sha256: str, scratch: Path) -> Iterator[Path]:
        """A file with the content, to be read within the block and not to be changed.

        Args:
            sha256: which blob.
            scratch: an existing folder for the copy that a store elsewhere needs; a local one lends its own file.

        Raises:
            NotFound: it is not stored.
        """
        if self._folder is not None:
            self.size(sha256)
            yield self._folder / _key(sha256)
            return
        with TemporaryDirectory(dir=scratch) as folder:
            path = Path(folder) / sha256
            self.fetch(sha256, path)
            yield path

    def delete(self, sha256: str) -> None:
        """Removes a blob; one that is not there is gone already."""
        try:
            obstore.delete(self._store, _key(sha256))
        except FileNotFoundError:
            return

    def part_writer(self, upload_id: str, n: int, *, begin: int, scratch: Path) -> PartWriter:
        """To send part `n` of an upload in place of any that was there; see `storage.parts.Parts`."""
        return self._parts.writer(upload_id, n, begin=begin, scratch=scratch)

    def compose(self, upload_id: str, numbers: Sequence[int], *, sha256: str) -> str:
        """Joins parts to the blob `sha256`, in one pass.

        Returns:
            The sha-256 of what the parts hold. Where it is another, nothing was stored.

        Raises:
            NotFound: a part is not there.
        """
        return self._parts.join(upload_id, numbers, key=_key(sha256), sha256=sha256)

    def drop_parts(self, upload_id: str, numbers: Sequence[int]) -> None:
        """Removes parts; those that are not there are passed over."""
        self._parts.drop(upload_id, numbers)

    def _read_file(self, key: str, start: int, end: int) -> Iterator[bytes]:
        assert self._folder is not None
        try:
            file = (self._folder / key).open("rb", buffering=0)
        except FileNotFoundError:
            raise NotFound(f"{key} is not stored") from None
        with file:
            file.seek(start)
            while start < end and (piece := file.read(min(_FILE_CHUNK_BYTES, end - start))):
                start += len(piece)
                yield piece

    def _read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        if start >= end:
            return
        try:
            answer = obstore.get(self._store, key, options={"range": (start, end)})
        except FileNotFoundError:
            raise NotFound(f"{key} is not stored") from None
        for chunk in answer.stream(min_chunk_size=_CHUNK_BYTES):
            yield bytes(chunk)


def _key(sha256: str) -> str:
    if not _SHA256.fullmatch(sha256):
        raise _no_blob(sha256)
    return f"blobs/{sha256[:2]}/{sha256}"


def _no_blob(sha256: str) -> NotFound:
    return NotFound(f"there is no blob {sha256[:80]!r}", hint="upload the file")
