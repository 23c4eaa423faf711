"""Blobs that nothing refers to are removed; the rest of the house may rely on that never hitting one in use.

Content has many owners: two uploads and three jobs may share one blob. Whoever is about to rely on a blob *pins* it,
then looks whether it is there or writes it, and then writes down the reference: a complete upload, or a row of
`job_blobs`. A blob is removed when it has been pinned no more lately than the grace and no reference exists, while its
row is held: a pin that comes meanwhile waits, and whoever pinned then finds the content gone and writes it again.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError

from storage.blobs import BlobStore
from storage.clock import microseconds, now_us
from storage.database import Database
from storage.schema import BLOBS, JOB_BLOBS, UPLOADS


class Collection(Database):
    """The part of the ledger that knows which content may be in the blob store."""

    def pin(self, sha256: str) -> None:
        """Says that somebody is about to rely on that content."""
        try:
            with self.write() as connection:
                known = connection.execute(update(BLOBS).where(BLOBS.c.sha256 == sha256).values(pinned_us=now_us()))
                if known.rowcount == 0:
                    connection.execute(insert(BLOBS).values(sha256=sha256, pinned_us=now_us()))
        except IntegrityError:
            return  # somebody else pinned it in the same moment

    def referenced(self) -> tuple[str, ...]:
        """Content that jobs and uploads refer to, in order: what the blob store must hold."""
        used = select(JOB_BLOBS.c.sha256).union(select(UPLOADS.c.sha256).where(UPLOADS.c.complete))
        with self.read() as connection:
            return tuple(sorted(connection.execute(used).scalars()))

    def unreferenced(self, *, grace_s: float, limit: int = 100) -> tuple[str, ...]:
        """Content that nothing refers to and that nobody pinned within the grace."""
        query = select(BLOBS.c.sha256).where(_is_waste(grace_s)).order_by(BLOBS.c.pinned_us).limit(limit)
        with self.read() as connection:
            return tuple(connection.execute(query).scalars())

    def collect(self, blobs: BlobStore, *, grace_s: float, only: Sequence[str] | None = None) -> int:
        """Removes what nothing refers to.

        Args:
            blobs: from where.
            grace_s: how long a pin protects.
            only: just these; None: whatever is found, a hundred at a time.

        Returns:
            How many blobs were removed.
        """
        removed = 0
        for sha256 in self.unreferenced(grace_s=grace_s) if only is None else only:
            with self.write() as connection:
                waste = and_(BLOBS.c.sha256 == sha256, _is_waste(grace_s))
                if connection.execute(delete(BLOBS).where(waste)).rowcount == 1:
                    blobs.delete(sha256)
                    removed += 1
        return removed


def _is_waste(grace_s: float) -> ColumnElement[bool]:
    uploaded = exists().where(UPLOADS.c.sha256 == BLOBS.c.sha256, UPLOADS.c.complete)
    used = exists().where(JOB_BLOBS.c.sha256 == BLOBS.c.sha256)
    return and_(BLOBS.c.pinned_us <= now_us() - microseconds(grace_s), ~uploaded, ~used)
