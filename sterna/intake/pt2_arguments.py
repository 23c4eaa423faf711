"""One argument of one node of a `.pt2`: a choice such as `{"as_ints": [1, 1]}` becomes an `Argument`.

Expressions on symbolic sizes are never evaluated: a size that is not a number is a reference to the node that
computes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from sterna.errors import ModelCorrupt, ModelUnsafe, OperatorUnsupported
from sterna.graph import Argument, Dtype
from sterna.graph.check import quoted
from sterna.intake.json_text import Reader
from sterna.intake.limits import MODEL
from sterna.intake.pt2_tensors import scalar_type

Resolve = Callable[[str], Argument]

_ODD_FLOATS: Final = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}
_MEMORY_FORMATS: Final = {1: "contiguous_format", 2: "channels_last", 3: "channels_last_3d", 4: "preserve_format"}
_LITERALS: Final[Mapping[str, type[bool | int | str]]] = {"as_int": int, "as_bool": bool, "as_string": str}
_LISTS: Final = {
    "as_tensors": "as_tensor",
    "as_ints": "as_int",
    "as_floats": "as_float",
    "as_bools": "as_bool",
    "as_sym_ints": "as_sym_int",
    "as_sym_floats": "as_sym_float",
    "as_optional_tensors": "as_optional_tensor",
}
_CHOICES_OF_CHOICES: Final = frozenset({"as_sym_int", "as_sym_float", "as_sym_bool", "as_optional_tensor"})
_NODE = Reader("a node of the network", MODEL)


def read_argument(form: object, resolve: Resolve) -> Argument:
    """Read one argument.

    Args:
        form: the choice as it stands in the file.
        resolve: from the name of a value to what it stands for.

    Raises:
        OperatorUnsupported, ModelUnsafe: an argument of a sort that is not read.
        ModelCorrupt: not an argument at all.
    """
    choice, value = _NODE.union(form, "arg")
    return _read(choice, value, resolve)


def read_names(form: object) -> tuple[tuple[str, ...], bool]:
    """Read one output of a node: the names of the values that it makes, and whether they come as a list."""
    choice, value = _NODE.union(form, "outputs")
    if choice == "as_tensors":
        return tuple(_NODE.get(item, "name", str) for item in _NODE.typed(value, list, choice)), True
    if choice == "as_tensor":
        return (_NODE.get(value, "name", str),), False
    if choice in {"as_sym_int", "as_sym_bool", "as_sym_float"}:
        return (_NODE.get(value, "as_name", str),), False
    raise OperatorUnsupported(f"a node makes a value of the sort {quoted(choice)}; tensors and sizes are read")


def _read(choice: str, value: object, resolve: Resolve) -> Argument:
    if choice == "as_tensor":
        return resolve(_NODE.get(value, "name", str))
    if choice == "as_name":
        return resolve(_NODE.typed(value, str, choice))
    if choice in _LISTS:
        return tuple(_read(_LISTS[choice], item, resolve) for item in _NODE.typed(value, list, choice))
    if choice in _CHOICES_OF_CHOICES:
        return _read(*_NODE.union(value, choice), resolve)
    return _read_literal(choice, value)


def _read_literal(choice: str, value: object) -> Argument:
    if choice in _LITERALS:
        literal: bool | int | str = _NODE.typed(value, _LITERALS[choice], choice)
        return literal
    if choice == "as_none":
        return None
    if choice == "as_float":
        return _float(value)
    if choice == "as_scalar_type":
        return Dtype(scalar_type(_NODE.typed(value, int, choice)))
    if choice == "as_memory_format":
        return _memory_format(_NODE.typed(value, int, choice))
    if choice == "as_custom_obj":
        raise ModelUnsafe(
            "a node is given a custom object; reading it would run code from the file",
            hint="Export a network of tensors alone.",
        )
    raise OperatorUnsupported(
        f"a node is given an argument of the sort {quoted(choice)}, which is not read",
        hint="Export a network without control flow, subgraphs and complex numbers.",
    )


def _memory_format(number: int) -> str:
    if number not in _MEMORY_FORMATS:
        raise ModelCorrupt(f"a node has the memory format {number}; known are {', '.join(map(str, _MEMORY_FORMATS))}")
    return _MEMORY_FORMATS[number]


def _float(value: object) -> float:
    if isinstance(value, str) and value in _ODD_FLOATS:
        return _ODD_FLOATS[value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        return float(value)
    return _NODE.typed(value, float, "as_float")
