"""A GPU is leased to one worker process of a host at a time, by a lock that the kernel lets go of when it dies.

The lock is on a file named after the GPU in a folder that all worker processes of the host share. A lock left behind
cannot be: what is left is an unlocked file. Containers of one host share the folder only where it is mounted into them.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path
from typing import Final, Self

_RUN: Final = Path("/run/lock")


def lock_folder() -> Path:
    """Where locks of the whole host lie, and whoever may run a worker may write: `/run/lock`, or where `/tmp` is."""
    return _RUN if os.access(_RUN, os.W_OK) else Path(tempfile.gettempdir())


class GpuLease:
    """The right to use one GPU, for as long as this process lives or until it is given back."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, uuid: str, folder: Path) -> Self | None:
        """Lease a GPU; None where another process has it."""
        descriptor = _open(folder / f"sterna-{uuid.replace('/', '_')}.lock")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return cls(descriptor)

    def give_back(self) -> None:
        """Let another process have it."""
        os.close(self._descriptor)


def _open(file: Path) -> int:
    """Open a file that may be another user's: a lock needs no right to write. No child inherits it, no link leads it.

    In a folder that everybody may write, Linux refuses O_CREAT on what another user has made; so that is asked last.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(file, flags)
    except FileNotFoundError:
        return os.open(file, flags | os.O_CREAT, 0o644)
