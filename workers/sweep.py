"""Removes what killed processes left behind: files that are old and belong to nothing that lives.

scratch/*                  of requests that never ended
work/JOB-ATTEMPT/          of attempts that are over: what a crash left, and the logs of failures
work/warm-…/               of runners that were started ahead by a worker that is gone
queue/{taken,refused}/*    messages that were being read when their worker was killed, and files that are none
parts of uploads           that nobody completed, and their rows
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from workers.context import WorkerContext

_log = logging.getLogger(__name__)


def sweep(context: WorkerContext) -> None:
    """Remove what is older than the setting `sweep_after_s`; safe to do from many workers at once."""
    settings = context.settings
    if context.warm is not None:
        context.warm.keep()
    found = [*_entries(settings.scratch_folder)]
    found += [*_entries(settings.broker_folder / "taken"), *_entries(settings.broker_folder / "refused")]
    found += [folder for folder in _entries(context.work_root) if not _is_at_work(context, folder)]
    old = [path for path in found if _age_s(path) > settings.sweep_after_s]
    for path in old:
        _remove(path)
    uploads = context.ledger.abandoned_uploads(older_than_s=settings.sweep_after_s)
    for upload_id, parts in uploads:
        # The row goes last: were it gone first, a crash in between would leave parts that nobody knows of.
        context.blobs.drop_parts(upload_id, parts)
        context.ledger.forget_upload(upload_id)
    if old or uploads:
        _log.info("swept %d files and folders, %d uploads", len(old), len(uploads))


def _entries(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from folder.iterdir()


def _is_at_work(context: WorkerContext, folder: Path) -> bool:
    job_id, _, attempt = folder.name.rpartition("-")
    return attempt.isdigit() and context.ledger.is_running(job_id, attempt=int(attempt))


def _age_s(path: Path) -> float:
    """How long nothing in it has changed."""
    newest = 0.0
    for one in (path, *path.rglob("*")):
        try:
            newest = max(newest, one.lstat().st_mtime)
        except FileNotFoundError:
            continue  # its owner was faster
    return time.time() - newest


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
