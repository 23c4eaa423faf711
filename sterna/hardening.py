"""What a process can ask of the Linux kernel for its own protection. Elsewhere these calls do nothing and say so.

No sandbox (that is `workers/bubblewrap.py`): a process of the same user may still read the files that this one may
read. They close two doors, that to another process's memory and environment (where the keys of database and store are),
and that to `setuid` programs. Neither holds against root.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Final

# From <linux/prctl.h>.
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38


def hide_process() -> bool:
    """Keep processes of the same user from reading this one's memory and environment, and it from dumping core.

    Holds for this process alone: the next `exec` takes it back, so each process that holds secrets calls it.

    Returns:
        Whether the kernel did it.
    """
    return _prctl(_PR_SET_DUMPABLE, 0)


def refuse_new_privileges() -> bool:
    """Give up, for this process and all its children, what `setuid` programs would give.

    Returns:
        Whether the kernel did it.
    """
    return _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _prctl(option: int, value: int) -> bool:
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.prctl(option, *map(ctypes.c_ulong, (value, 0, 0, 0))) == 0)
