"""Networks that overwrite their values, read as networks that do not.

`relu_(x)` becomes `y = relu(x)`, and every later use of `x` becomes a use of `y`. Where `x` is a view, what it looks
into is made anew as well, as soon as anybody looks there (`write_back.py`):

    v = select(y, 1, 0)               v = select(y, 1, 0)
    fill_(v, 2)                       w = full_like(v, 2)
    return y                          z = select_scatter(y, w, 1, 0)
                                      return z

Views that were taken earlier are taken again. Where memory may be shared but nobody can tell how (`reshape` gives a
view or a copy), the first look at it after it was overwritten is refused; memory that is never looked at again does
no harm. Refused is a write under `torch.no_grad()` to what was made outside: values would follow it, and gradients not.
Where an operand overlaps with what is overwritten, torch leaves open what comes of it; here it is read before.

A `cell` is one tensor as Python sees it: the names that stand for it, and the value that it held when it was last made.
A `tree` is a cell and the cells that surely look into it; each write gives the tree a new version. Trees that may share
memory are one `block`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from sterna.errors import ModelCorrupt, ModelTooLarge, OperatorUnsupported
from sterna.graph.check import MAX_NODES, quoted
from sterna.graph.network import Node
from sterna.intake.write_back import Layout, can_be_put_back, looking_again, put_back

MAX_LOOKS: Final = 16
_HINT = "Write it out of place (inplace=False, y = y + 1 instead of y += 1, or clone() first) and export again."


@dataclass(eq=False, slots=True)
class _Block:
    """Trees that may share memory.

    Attributes:
        trees: those that may still be read.
        owned_by_network: it may be memory of a parameter or buffer.
        region: the part without gradients in which it was made, 0 outside of them.
    """

    trees: list[_Tree] = field(default_factory=list)
    owned_by_network: bool = False
    region: int = 0

    def absorb(self, other: _Block) -> _Block:
        """Take over what another block has: from now on they are one."""
        if other is not self:
            for tree in other.trees:
                tree.block = self
            self.trees += other.trees
            self.owned_by_network |= other.owned_by_network
        return self


@dataclass(eq=False, slots=True)
class _Tree:
    """A cell, the root, and the views of it.

    Attributes:
        block: where it may share memory.
        version: how often it was overwritten.
        repeats: it may show one element of memory in many places.
        pending: the view that was written last, if the root has not been told. Views that are ahead of the root lie on
            the way to it, or look into one that does.
        overwritten_by: what has overwritten it from another tree, nobody knows where.
    """

    block: _Block
    repeats: bool = False
    version: int = 0
    pending: _Cell | None = None
    overwritten_by: str = ""


@dataclass(eq=False, slots=True)
class _Cell:
    """One tensor.

    Attributes:
        value: what it held at `version` of its tree.
        look: how it looks into another cell, None for a root.
        depth: looks down to the root.
    """

    value: str
    tree: _Tree
    version: int = 0
    look: _Look | None = None
    depth: int = 0


@dataclass(eq=False, slots=True)
class _Look:
    """A node that gives views of a cell: its outputs in their order."""

    node: Node
    base: _Cell
    cells: list[_Cell] = field(default_factory=list)


class Values:
    """The values of a network in the order in which they are made and overwritten.

    Args:
        nodes: of the network so far; what has to be made anew is added to them.
    """

    def __init__(self, nodes: list[Node]) -> None:
        self._nodes = nodes
        self._cells: dict[str, _Cell] = {}
        self._made = 0

    def define(
        self,
        name: str,
        *,
        sharing: Iterable[str] = (),
        shown: Layout = "as before",
        owned_by_network: bool = False,
        region: int = 0,
    ) -> None:
        """A new value.

        Args:
            name: of the value.
            sharing: the values whose memory it may look into.
            shown: how it may look there.
            owned_by_network: it may look into a parameter or buffer.
            region: the part without gradients in which it is made, 0 outside of them.
        """
        block, repeats = _Block(owned_by_network=owned_by_network, region=region), shown == "repeating"
        for other in sharing:
            looked_into = self._cell(other).tree
            block = looked_into.block.absorb(block)
            repeats |= looked_into.repeats and shown == "as before"
        tree = _Tree(block, repeats)
        block.trees.append(tree)
        self._add(name, _Cell(name, tree))

    def define_views(self, source: str, node: Node) -> bool:
        """What a node makes of `source`, where it is known how that looks into it; False where it is not."""
        base = self._cell(source)
        if base.depth == MAX_LOOKS or not can_be_put_back(node):
            return False
        look = _Look(node, base)
        for name in node.outputs:
            cell = _Cell(name, base.tree, base.tree.version, look, base.depth + 1)
            look.cells.append(cell)
            self._add(name, cell)
        return True

    def read(self, name: str) -> str:
        """The value that a name stands for now.

        Raises:
            OperatorUnsupported: its memory was overwritten, nobody knows where.
        """
        cell = self._cell(name)
        if cell.tree.overwritten_by:
            raise OperatorUnsupported(
                f"{quoted(name)} is used after {quoted(cell.tree.overwritten_by)} has overwritten memory that it may"
                " share",
                hint=_HINT,
            )
        if cell.version == cell.tree.version:
            return cell.value
        self._settle(cell.tree)
        return self._renewed(cell)

    @property
    def made_anew(self) -> bool:
        """Whether anything was made anew, which may lie in memory in another way than what it stands for."""
        return self._made > 0

    def overwrite(self, name: str, new: str, *, region: int = 0) -> None:
        """From now on `name`, and whatever is the same tensor, stands for the value `new`."""
        cell = self._writable(name, new, region)
        tree = cell.tree
        for other in tree.block.trees:
            if other is not tree:
                other.overwritten_by = new
        tree.block.trees = [tree]
        tree.version += 1
        tree.pending = None if cell.look is None else cell
        cell.value, cell.version = new, tree.version
        self._add(new, cell)

    def turn(self, name: str, new: str, *, region: int = 0) -> None:
        """The same where the tensor itself gets other axes (`t_`) or no gradients (`detach_`): views are let go."""
        cell = self._writable(name, new, region)
        block = cell.tree.block
        for tree in block.trees:
            tree.overwritten_by = new
        cell.tree = _Tree(_Block(region=block.region))
        cell.tree.block.trees.append(cell.tree)
        cell.value, cell.version, cell.look, cell.depth = new, 0, None, 0
        self._add(new, cell)

    def _writable(self, name: str, new: str, region: int) -> _Cell:
        self.read(name)
        cell = self._cell(name)
        if cell.tree.block.owned_by_network:
            raise OperatorUnsupported(f"{quoted(new)} overwrites a parameter or a buffer of the network", hint=_HINT)
        if cell.tree.repeats:
            raise OperatorUnsupported(
                f"{quoted(new)} overwrites {quoted(name)}, which may show one element in many places",
                hint="Call contiguous() after expand(), or clone(), and export again.",
            )
        if region and region != cell.tree.block.region:
            raise OperatorUnsupported(
                f"{quoted(new)} overwrites {quoted(name)} under torch.no_grad(), of which gradients know nothing",
                hint=_HINT,
            )
        return cell

    def _settle(self, tree: _Tree) -> None:
        """Tell the root, and all views on the way to it, of the last write to a view."""
        cell, tree.pending = tree.pending, None
        while cell is not None and cell.look is not None:
            look, base = cell.look, cell.look.base
            old = self._renewed(base)
            pieces = [one.value if one is cell else self._renewed(one) for one in look.cells]
            base.value = self._new_name()
            self._emit(put_back(look.node, old, pieces, base.value))
            base.version = tree.version
            cell = base

    def _renewed(self, cell: _Cell) -> str:
        """What a cell holds: looked at again where the root was made anew since, kept where it is ahead of the root."""
        version = _root(cell).version
        if cell.look is not None and cell.version < version:
            look = cell.look
            base = self._renewed(look.base)
            names = tuple(self._new_name() for _ in look.cells)
            self._emit(looking_again(look.node, base, names))
            for one, name in zip(look.cells, names, strict=True):
                if one.version < version:
                    one.value, one.version = name, version
        return cell.value

    def _emit(self, node: Node) -> None:
        if len(self._nodes) >= MAX_NODES:
            raise ModelTooLarge(
                f"overwritten values make the network more than {MAX_NODES} nodes, which are read at most"
            )
        self._nodes.append(node)

    def _new_name(self) -> str:
        self._made += 1
        return f"written_{self._made}"

    def _add(self, name: str, cell: _Cell) -> None:
        if name in self._cells:
            raise ModelCorrupt(f"two values are called {quoted(name)}")
        self._cells[name] = cell

    def _cell(self, name: str) -> _Cell:
        try:
            return self._cells[name]
        except KeyError:
            raise ModelCorrupt(f"{quoted(name)} is used before anything makes it") from None


def _root(cell: _Cell) -> _Cell:
    while cell.look is not None:
        cell = cell.look.base
    return cell
