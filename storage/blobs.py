"""The blob store: files under their sha-256, in a local folder, in memory or in an S3-compatible store.

    blobs/ab/ab12…              content, written once and never changed
    uploads/upl_…/0, 1, …       parts of uploads that are still on their way

Content appears under its name only when it is whole and its digest has been checked, so what exists is right. Files
of any size pass through in pieces of a few MiB. Nothing is buffered whole.
"""

from __future__ import annotations

import errno
import hashlib
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import obstore
from obstore.store import LocalStore, MemoryStore, ObjectStore, from_url

from sterna.digest import file_digest
from sterna.errors import ArtifactDigestMismatch, NotFound

_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHUNK_BYTES = 4 * 2**20
_WRITE_BYTES = 8 * 2**20


class BlobStore:
    """Content by its digest. Safe to use from several threads."""

    def __init__(self, store: ObjectStore, *, folder: Path | None = None) -> None:
        self._store = store
        self._folder = folder

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
        return cls(from_url(url))

    def ping(self) -> None:
        """Asks the store for the least that it can answer; raises what obstore raises when it cannot."""
        if self._folder is not None and not self._folder.is_dir():
            raise FileNotFoundError(self._folder)
        obstore.list_with_delimiter(self._store, prefix="ping")

    def put_file(self, path: Path) -> tuple[str, int]:
        """Stores a file; content that is there already is not written again.

        Returns:
            Its sha-256 in hex and its size in bytes.
        """
        sha256 = file_digest(path)
        if not self.has(sha256):
            obstore.put(self._store, _key(sha256), path, chunk_size=_WRITE_BYTES, max_concurrency=2)
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
        """The bytes from `start` up to but not including `end`, in pieces of about 4 MiB.

        Raises:
            NotFound: it is not stored; at the first piece.
        """
        yield from self._read(_key(sha256), start, self.size(sha256) if end is None else end)

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

    def put_part(self, upload_id: str, n: int, path: Path) -> None:
        """Stores part `n` of an upload in place of any that was there; the file may be moved there and be gone."""
        if self._folder is not None:
            target = self._folder / _part_key(upload_id, n)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                path.replace(target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
            else:
                return
        obstore.put(self._store, _part_key(upload_id, n), path, chunk_size=_WRITE_BYTES, max_concurrency=2)

    def compose(self, upload_id: str, numbers: Sequence[int], *, sha256: str) -> str:
        """Joins parts to the blob `sha256`, in one pass.

        Returns:
            The sha-256 of what the parts hold. Where it is another, nothing was stored.

        Raises:
            NotFound: a part is not there.
        """
        if self._folder is not None:
            return self._join(self._folder, upload_id, numbers, sha256)
        digest = hashlib.sha256()
        # Not a `with` block: what is closed appears in the store, what is only let go does not.
        writer = obstore.open_writer(self._store, _key(sha256), buffer_size=_WRITE_BYTES, max_concurrency=2)
        for chunk in self._parts(upload_id, numbers):
            digest.update(chunk)
            writer.write(chunk)
        if digest.hexdigest() == sha256:
            writer.close()
        return digest.hexdigest()

    def _join(self, folder: Path, upload_id: str, numbers: Sequence[int], sha256: str) -> str:
        """`compose` in a local folder: hashed as it is copied, and there once it is whole."""
        target = folder / _key(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        parts = folder / "uploads" / upload_id
        parts.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=parts, prefix="whole-", delete=False) as whole:
            temporary = Path(whole.name)
            try:
                for n in numbers:
                    with _opened_part(folder, upload_id, n) as part:
                        while block := part.read(_CHUNK_BYTES):
                            digest.update(block)
                            whole.write(block)
                if digest.hexdigest() == sha256:
                    whole.flush()
                    temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)
        return digest.hexdigest()

    def drop_parts(self, upload_id: str, numbers: Sequence[int]) -> None:
        """Removes parts; those that are not there are passed over."""
        for n in numbers:
            try:
                obstore.delete(self._store, _part_key(upload_id, n))
            except FileNotFoundError:
                continue
        if self._folder is not None:
            shutil.rmtree(self._folder / "uploads" / upload_id, ignore_errors=True)

    def _parts(self, upload_id: str, numbers: Sequence[int]) -> Iterator[bytes]:
        for n in numbers:
            key = _part_key(upload_id, n)
            try:
                size = obstore.head(self._store, key)["size"]
                yield from self._read(key, 0, size)
            except (FileNotFoundError, NotFound):
                raise NotFound(f"part {n} of upload {upload_id} is not stored", hint="send it again") from None

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


def _opened_part(folder: Path, upload_id: str, n: int) -> BinaryIO:
    try:
        return (folder / _part_key(upload_id, n)).open("rb", buffering=0)
    except FileNotFoundError:
        raise NotFound(f"part {n} of upload {upload_id} is not stored", hint="send it again") from None


def _part_key(upload_id: str, n: int) -> str:
    return f"uploads/{upload_id}/{n}"


def _no_blob(sha256: str) -> NotFound:
    return NotFound(f"there is no blob {sha256[:80]!r}", hint="upload the file")
