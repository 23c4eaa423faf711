"""Patience with a storage that is away or full: a training of days is not thrown away because of one bad minute."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from obstore.exceptions import BaseError

from sterna.errors import StorageUnavailable

STORAGE_WAITS_S: Final = (1.0, 5.0, 15.0, 40.0, 60.0)

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


def with_patience(work: Callable[[], _T], *, waits_s: Sequence[float], wait: Callable[[float], None]) -> _T:
    """Do what reads or writes files or blobs, and try again after each of these waits.

    Args:
        work: may be done twice.
        waits_s: how long to wait after the first failure, after the second, …
        wait: waits so long, or raises where there is no use in waiting.

    Raises:
        StorageUnavailable: the last try failed too.
    """
    for wait_s in waits_s:
        try:
            return work()
        except (OSError, BaseError) as error:
            _log.warning("the storage failed, trying again in %g s: %s", wait_s, error)
        wait(wait_s)
    try:
        return work()
    except (OSError, BaseError) as error:
        # Only its kind: the text may hold the address of the store. The log has it.
        _log.exception("the storage failed %d times", len(waits_s) + 1)
        raise StorageUnavailable(
            f"the files of the job could not be stored or fetched ({type(error).__name__})",
            hint="The blob store or the worker's disk is full or away; submit the job again once that is mended.",
        ) from error
