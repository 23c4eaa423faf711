"""Copies of the blob store, for backups: what a target lacks is copied, each digest checked on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from sterna.errors import NotFound
from storage.blobs import BlobStore


def copy_blobs(
    source: BlobStore, target: BlobStore, *, scratch: Path, on_progress: Callable[[int, int], None] | None = None
) -> int:
    """Copies all content that the target has not; may be done again, and then goes on where it ended.

    Args:
        source: from where. What is removed from it meanwhile is passed over.
        target: to where. Nothing of it is removed.
        scratch: an existing folder with room for the largest blob.
        on_progress: hears (blobs that are there, blobs in all).

    Returns:
        How many blobs were copied.

    Raises:
        ArtifactDigestMismatch: the source does not hold what was put there.
    """
    wanted, there = sorted(source.digests()), set(target.digests())
    copied = 0
    for n, sha256 in enumerate(wanted, start=1):
        if sha256 not in there:
            copied += _copy(sha256, source, target, scratch)
        if on_progress is not None:
            on_progress(n, len(wanted))
    return copied


def _copy(sha256: str, source: BlobStore, target: BlobStore, scratch: Path) -> bool:
    with TemporaryDirectory(dir=scratch) as folder:
        path = Path(folder) / sha256
        try:
            source.fetch(sha256, path)
        except NotFound:
            return False
        target.put_file(path)
        return True
