"""Networks that overwrite their values, read as networks that do not.

`relu_(x)` becomes `y = relu(x)`, and every later use of `x` becomes a use of `y`. That is the same network as long as
nobody looks at the overwritten memory through another value: a view of `x`, or what `x` is a view of. Such a look is
refused where it happens; memory that is never looked at again does no harm.

A `cell` is one tensor as Python sees it: the names that stand for it, and the value that it holds now. Cells that may
share memory are one `block`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sterna.errors import ModelCorrupt, OperatorUnsupported
from sterna.graph.check import quoted

_HINT = "Write it out of place (inplace=False, y = y + 1 instead of y += 1, or clone() first) and export again."


@dataclass(eq=False, slots=True)
class _Block:
    cells: list[_Cell] = field(default_factory=list)
    owned_by_network: bool = False

    def absorb(self, other: _Block) -> _Block:
        """Take over what another block has: from now on they are one."""
        if other is not self:
            for cell in other.cells:
                cell.block = self
            self.cells += other.cells
            self.owned_by_network |= other.owned_by_network
        return self


@dataclass(eq=False, slots=True)
class _Cell:
    value: str
    block: _Block
    overwritten_by: str = ""


class Values:
    """The values of a network in the order in which they are made and overwritten."""

    def __init__(self) -> None:
        self._cells: dict[str, _Cell] = {}

    def define(self, name: str, *, sharing: Iterable[str] = (), owned_by_network: bool = False) -> None:
        """A new value.

        Args:
            name: of the value.
            sharing: the values whose memory it may look into.
            owned_by_network: it may look into a parameter or buffer.
        """
        if name in self._cells:
            raise ModelCorrupt(f"two values are called {quoted(name)}")
        block = _Block(owned_by_network=owned_by_network)
        for other in sharing:
            block = self._cell(other).block.absorb(block)
        cell = _Cell(name, block)
        block.cells.append(cell)
        self._cells[name] = cell

    def read(self, name: str) -> str:
        """The value that a name stands for now.

        Raises:
            OperatorUnsupported: its memory was overwritten through another value.
        """
        cell = self._cell(name)
        if cell.overwritten_by:
            raise OperatorUnsupported(
                f"{quoted(name)} is used after {quoted(cell.overwritten_by)} has overwritten memory that it may share",
                hint=_HINT,
            )
        return cell.value

    def overwrite(self, name: str, new: str) -> None:
        """From now on `name`, and whatever is the same tensor, stands for the value `new`."""
        cell = self._cell(name)
        if cell.block.owned_by_network:
            raise OperatorUnsupported(f"{quoted(new)} overwrites a parameter or a buffer of the network", hint=_HINT)
        if new in self._cells:
            raise ModelCorrupt(f"two values are called {quoted(new)}")
        for other in cell.block.cells:
            if other is not cell:
                other.overwritten_by = new
        cell.block.cells = [cell]
        cell.value = new
        self._cells[new] = cell

    def _cell(self, name: str) -> _Cell:
        try:
            return self._cells[name]
        except KeyError:
            raise ModelCorrupt(f"{quoted(name)} is used before anything makes it") from None
