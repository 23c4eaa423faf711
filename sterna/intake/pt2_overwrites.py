"""Element types where a node of a `.pt2` overwrites a value: that keeps its own, and what is made anew must have it.

| the node | gives |
|---|---|
| `copy_`, `fill_` | the type of what is copied, converted where that is another |
| comparisons and logic, such as `gt_` | truths, converted where those are overwritten with numbers |
| others | the type of the overwritten; refused where an operand would raise it |

Masks and indices raise no type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sterna.errors import OperatorUnsupported
from sterna.graph import FLOATING
from sterna.intake.pt2_nodes import RawNode

DtypeOf = Callable[[str], str | None]

_TRUTHS: Final = frozenset(
    {"gt", "ge", "lt", "le", "eq", "ne", "logical_and", "logical_or", "logical_xor", "logical_not"}
)
_RAISE_NO_TYPE: Final = frozenset({"mask", "index", "indices", "value"})


def needs_conversion(raw: RawNode, target: str, dtype_of: DtypeOf) -> bool:
    """Whether what an in-place node computes anew must be converted to the type of what it overwrites.

    Args:
        raw: the node.
        target: the value that it overwrites.
        dtype_of: the element type of a value, None where the file does not say.

    Raises:
        OperatorUnsupported: an operand would raise the type.
    """
    kept = dtype_of(target)
    if raw.fills:
        return any(dtype_of(name) != kept or kept is None for name in raw.names - {target})
    if raw.operator.split(".")[1] in _TRUTHS:
        return kept != "bool"
    for other in raw.names_but(_RAISE_NO_TYPE) - {target}:
        _check(raw, kept, dtype_of(other))
    return False


def _check(raw: RawNode, kept: str | None, other: str | None) -> None:
    if other not in {kept, None, "bool"} and not (kept in FLOATING and other not in FLOATING):
        raise OperatorUnsupported(
            f"{raw.target} overwrites a {kept} value with the result of a {other} one",
            hint="Convert to one element type first and export again.",
        )
