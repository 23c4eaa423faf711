"""Uploads in numbered parts: which parts of which file have arrived. The bytes themselves are in the blob store."""

from __future__ import annotations

import re
import uuid
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, delete, exists, insert, or_, select, text, update

from api_schemas.uploads import Upload, UploadRequest
from sterna.errors import Conflict, InvalidSpec, NotFound
from storage.clock import microseconds, now_us
from storage.database import Database
from storage.quotas import check_stored
from storage.schema import JOB_BLOBS, JOBS, LOCAL, UPLOAD_PARTS, UPLOADS

# A part that is sent twice at once arrives once; PostgreSQL and SQLite say it in the same words.
_MARK: Final = text("INSERT INTO upload_parts (upload_id, n) VALUES (:upload_id, :n) ON CONFLICT DO NOTHING")
_UPLOAD_ID = re.compile(r"upl_[0-9a-f]{32}")


class Uploads(Database):
    """The part of the ledger that knows the uploads."""

    def create_upload(
        self,
        request: UploadRequest,
        *,
        part_bytes: int,
        complete: bool = False,
        tenant: str = LOCAL,
        most_bytes: int | None = None,
    ) -> Upload:
        """Begins an upload.

        Args:
            request: what is going to be sent.
            part_bytes: size of every part but the last.
            complete: the blob store has that content already, so nothing needs to be sent.
            tenant: whose it is.
            most_bytes: so much the tenant may store in all.

        Raises:
            QuotaExceeded: it would be more.
        """
        upload_id = f"upl_{uuid.uuid4().hex}"
        row = {
            "id": upload_id,
            "part_bytes": part_bytes,
            "complete": complete,
            "created_us": now_us(),
            "tenant": tenant,
        }
        with self.write() as connection:
            if most_bytes is not None:
                check_stored(connection, tenant, more=0 if complete else request.bytes, most=most_bytes)
            connection.execute(insert(UPLOADS).values(**request.model_dump(), **row))
            return _find(connection, upload_id, tenant)

    def upload(self, upload_id: str, *, tenant: str = LOCAL) -> Upload:
        """How an upload stands.

        Raises:
            NotFound: the tenant has no such upload.
        """
        with self.read() as connection:
            return _find(connection, upload_id, tenant)

    def knows_content(self, sha256: str, *, tenant: str = LOCAL) -> bool:
        """Whether the tenant itself has sent or made that content.

        Another's counts for nothing: who knows a digest does not thereby have the file.
        """
        sent = exists().where(UPLOADS.c.sha256 == sha256, UPLOADS.c.tenant == tenant, UPLOADS.c.complete)
        own = and_(JOBS.c.id == JOB_BLOBS.c.job_id, JOBS.c.tenant == tenant)
        made = exists().where(JOB_BLOBS.c.sha256 == sha256, own)
        with self.read() as connection:
            return bool(connection.execute(select(or_(sent, made))).scalar_one())

    def mark_part(self, upload_id: str, n: int, *, tenant: str = LOCAL) -> Upload:
        """Says that part `n` is in the blob store; saying it again changes nothing."""
        with self.write() as connection:
            upload = _find(connection, upload_id, tenant)
            if n in upload.missing_parts:
                connection.execute(_MARK, {"upload_id": upload_id, "n": n})
            return _find(connection, upload_id, tenant)

    def forget_part(self, upload_id: str, n: int) -> None:
        """Says that part `n` is being sent again, and missing until that is done."""
        gone = and_(UPLOAD_PARTS.c.upload_id == upload_id, UPLOAD_PARTS.c.n == n)
        with self.write() as connection:
            connection.execute(delete(UPLOAD_PARTS).where(gone))

    def forget_parts(self, upload_id: str) -> None:
        """Says that every part has to be sent again, since together they are not what was promised."""
        with self.write() as connection:
            connection.execute(delete(UPLOAD_PARTS).where(UPLOAD_PARTS.c.upload_id == upload_id))

    def finish_upload(self, upload_id: str, *, tenant: str = LOCAL) -> Upload:
        """Says that the whole content is in the blob store under its sha-256."""
        with self.write() as connection:
            _find(connection, upload_id, tenant)
            connection.execute(update(UPLOADS).where(UPLOADS.c.id == upload_id).values(complete=True))
            connection.execute(delete(UPLOAD_PARTS).where(UPLOAD_PARTS.c.upload_id == upload_id))
            return _find(connection, upload_id, tenant)

    def abandoned_uploads(self, *, older_than_s: float, limit: int = 100) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Uploads begun longer ago than that and not complete, with the parts that have arrived; oldest first."""
        old = and_(~UPLOADS.c.complete, UPLOADS.c.created_us < now_us() - microseconds(older_than_s))
        oldest = select(UPLOADS.c.id).where(old).order_by(UPLOADS.c.created_us).limit(limit)
        with self.read() as connection:
            ids = connection.execute(oldest).scalars().all()
            arrived = select(UPLOAD_PARTS.c.upload_id, UPLOAD_PARTS.c.n).where(UPLOAD_PARTS.c.upload_id.in_(ids))
            parts: dict[str, list[int]] = {upload_id: [] for upload_id in ids}
            for row in connection.execute(arrived):
                parts[row.upload_id].append(row.n)
        return tuple((upload_id, tuple(numbers)) for upload_id, numbers in parts.items())

    def forget_upload(self, upload_id: str) -> None:
        """Removes an upload that was not completed; a complete one stays."""
        with self.write() as connection:
            connection.execute(delete(UPLOADS).where(UPLOADS.c.id == upload_id, ~UPLOADS.c.complete))

    def delete_unused_uploads(self, *, older_than_s: float) -> int:
        """Removes complete uploads begun longer ago than that which no job uses; returns how many."""
        old = UPLOADS.c.created_us < now_us() - microseconds(older_than_s)
        used = exists().where(JOB_BLOBS.c.upload_id == UPLOADS.c.id)
        with self.write() as connection:
            return connection.execute(delete(UPLOADS).where(UPLOADS.c.complete, old, ~used)).rowcount

    def upload_sha256(self, upload_id: str, *, tenant: str = LOCAL) -> str:
        """The blob of a complete upload.

        Raises:
            NotFound: the tenant has no such upload.
            Conflict: it is not complete.
        """
        upload = self.upload(upload_id, tenant=tenant)
        if not upload.complete:
            raise Conflict(
                f"upload {upload_id} is not complete: {len(upload.missing_parts)} parts are missing",
                hint="send the missing parts and complete the upload",
            )
        return upload.sha256


def part_size(upload: Upload, n: int) -> int:
    """Bytes of part `n`.

    Raises:
        InvalidSpec: the upload has no such part.
    """
    last = _part_count(upload.bytes, upload.part_bytes) - 1
    if not 0 <= n <= last:
        raise InvalidSpec(
            f"upload {upload.id} has no part {n}; its parts are numbered from 0 to {last}",
            hint="send the parts that `missing_parts` names",
        )
    return upload.part_bytes if n < last else upload.bytes - last * upload.part_bytes


def part_numbers(upload: Upload) -> range:
    """The numbers of all parts of an upload."""
    return range(_part_count(upload.bytes, upload.part_bytes))


def _part_count(size_bytes: int, part_bytes: int) -> int:
    return -(-size_bytes // part_bytes)


def _find(connection: Connection, upload_id: str, tenant: str) -> Upload:
    # A string that cannot be an id never reaches the database.
    row = None
    if _UPLOAD_ID.fullmatch(upload_id):
        own = and_(UPLOADS.c.id == upload_id, UPLOADS.c.tenant == tenant)
        row = connection.execute(select(UPLOADS).where(own)).one_or_none()
    if row is None:
        raise NotFound(f"there is no upload {upload_id[:80]!r}", hint="create one with POST /v1/uploads")
    return _upload_of(connection, row)


def _upload_of(connection: Connection, row: Row[Any]) -> Upload:
    missing: tuple[int, ...] = ()
    if not row.complete:
        arrived = select(UPLOAD_PARTS.c.n).where(UPLOAD_PARTS.c.upload_id == row.id)
        have = set(connection.execute(arrived).scalars())
        missing = tuple(n for n in range(_part_count(row.bytes, row.part_bytes)) if n not in have)
    return Upload(
        id=row.id,
        filename=row.filename,
        bytes=row.bytes,
        sha256=row.sha256,
        part_bytes=row.part_bytes,
        missing_parts=missing,
        complete=row.complete,
    )
