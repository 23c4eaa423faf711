"""What torch raises of a stranger's network, told as a fault of the network and not of the job's process.

A network may run on the first batch and fail on a later one (an index beyond its table), or run and not be trained (an
operator without a derivative). Only what is raised in a node of the network or in the backward pass is translated: any
other exception is a mistake of ours and stays what it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sterna.errors import ModelDoesNotRun
from sterna.method.gradient import is_out_of_memory
from sterna.module import node_that_failed


@contextmanager
def network_errors() -> Iterator[None]:
    """Translate what is raised within.

    Raises:
        ModelDoesNotRun: the network fails on some samples, or cannot be trained.
    """
    try:
        yield
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        node = node_that_failed(error)
        if is_out_of_memory(error) or not (node or _in_backward_pass(error)):
            raise
        raise ModelDoesNotRun(
            f"the network fails {node or 'in the backward pass'}: {str(error).splitlines()[0]}",
            hint="Look in all of the data for what the network cannot take, such as an index beyond its table.",
        ) from error


def _in_backward_pass(error: BaseException) -> bool:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and str(trace.tb_frame.f_globals.get("__name__")).startswith("torch.autograd")
