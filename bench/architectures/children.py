"""A piece of work in a process of its own, whose time and memory are limited; it tells results as it comes to them.

The process is forked, so that torch and transformers are loaded once.
"""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Final, TypeVar

MEMORY_BYTES: Final = 10 * 2**30
"""Of addresses, of which torch and its libraries take 3 before anything is done."""

Told = TypeVar("Told")
Work = Callable[[Callable[[Told], None]], None]


class Stopped(Exception):
    """The process did not come to its end, with what is known of it."""


def told(work: Work[Told], seconds: float) -> Iterator[Told]:
    """What a piece of work tells.

    Args:
        work: is given the function to tell with.
        seconds: the longest between one result and the next.

    Raises:
        Stopped: nothing was told for too long, or the process died.
    """
    fork = multiprocessing.get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)
    child = fork.Process(target=_run, args=(work, sender), daemon=True)
    child.start()
    sender.close()
    try:
        while receiver.poll(seconds):
            yield receiver.recv()
        raise Stopped(f"after {seconds:.0f} s")
    except EOFError:
        child.join()
        if child.exitcode:
            raise Stopped(f"the process ended with {child.exitcode}") from None
    finally:
        child.kill()
        child.join()


def _run(work: Work[Told], sender: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    work(sender.send)
