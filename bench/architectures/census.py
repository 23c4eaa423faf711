"""Each type of model in each way, a process for each of them, and a journal of what came of it."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.architectures import pretrained
from bench.architectures.children import Stopped, told
from bench.architectures.examine import Row, examine
from bench.architectures.networks import Network, NotBuilt
from bench.architectures.ways import WAYS


class Journal:
    """Rows as they come, a line each, so that an interrupted census goes on where it was; the later of two rows counts.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[tuple[str, str], Row] = {}
        for line in path.read_text().splitlines() if path.exists() else ():
            self._remember(Row(**json.loads(line)))

    @property
    def rows(self) -> list[Row]:
        """All of them, by network; a network that was not built has one, of no way."""
        return sorted(self._rows.values(), key=lambda row: row.network)

    def left(self, network: str, ways: Sequence[str], again: Sequence[str] = ()) -> list[str]:
        """The ways in which a network is to be examined: those without a row, or whose verdict is one of `again`."""
        unbuilt = self._rows.get((network, ""))
        known = {way: unbuilt or self._rows.get((network, way)) for way in ways}
        return [way for way, row in known.items() if row is None or row.verdict in again]

    def add(self, row: Row) -> None:
        """Write it down at once."""
        self._remember(row)
        self._path.parent.mkdir(exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(row)) + "\n")

    def _remember(self, row: Row) -> None:
        if row.way:
            self._rows.pop((row.network, ""), None)
        else:
            self._rows = {key: other for key, other in self._rows.items() if key[0] != row.network}
        self._rows[row.network, row.way] = row


def warm_up() -> None:
    """Load what all of them need, on one thread: a process that has had more cannot be forked."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # what exporters warn of is theirs
    logging.disable()
    for way in WAYS:
        examine("", Network("", _One(), lambda size: (torch.ones(size, 2),)), way)


class _One(nn.Module):
    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return (inputs[0].relu(),)


def examined(name: str, ways: Sequence[str], seconds: float) -> Iterator[Row]:
    """What comes of a type of model in each way, in the order of the ways; one that is not built gives one row.

    Where a process does not come to its end, the way that it was at is stopped, and another goes on with those left.
    """
    left = list(ways)
    while left:
        try:
            for row in told(partial(_examine, name, tuple(left)), seconds):
                left = left[1:] if row.way else []
                yield row
        except Stopped as reason:
            yield Row(name, "", left.pop(0), "stopped", str(reason))


def _examine(name: str, ways: Sequence[str], tell: Callable[[Row], None]) -> None:
    for way in ways:
        try:
            network = pretrained.build(name)
        except NotBuilt as reason:
            return tell(Row(name, "", "", "not built", str(reason)))
        tell(examine(name, network, way))
    return None
