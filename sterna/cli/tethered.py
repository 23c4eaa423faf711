"""`python -m sterna.cli.tethered MODULE ARG…`: what `python -m MODULE ARG…` does, while somebody holds its input.

A parent that is killed with signal 9 cannot end its children. But the kernel closes its end of their pipes, on every
system and without delay, so a child that waits for the end of its standard input knows. It then ends as if by SIGTERM.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time
from typing import Final

from sterna.hardening import hide_process

GRACE_S: Final = 15.0
"""How long an orderly end may take."""


def main() -> None:
    """Run the module that the first argument names."""
    hide_process()
    threading.Thread(target=_end_with, args=(_take_standard_input(),), name="tether", daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _take_standard_input() -> int:
    """Keep the real standard input for the tether: neither the module nor its children may read it or hold it."""
    lifeline = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return lifeline


def _end_with(lifeline: int) -> None:
    while os.read(lifeline, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)


if __name__ == "__main__":
    main()
