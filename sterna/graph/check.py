"""What every graph must be, whoever made it; readers of models and of artifacts ask the same.

A graph that passes can be walked without surprises: operators and arguments are on the allow-list, each reference
names something that came before, names are dotted identifiers, counts and depths are bounded. Whether shapes fit is
left to the first run, because only the runtime knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from math import prod

from sterna.errors import InputError, ModelCorrupt, ModelTooLarge, ModelUnsafe, OperatorUnsupported
from sterna.graph.dtypes import DTYPES
from sterna.graph.network import Argument, Dtype, Graph, Input, Node, TensorInfo, TensorRef, ValueRef
from sterna.graph.operators import OPERATORS

MAX_NODES = 20_000
MAX_TENSORS = 20_000
MAX_INPUTS = 256
MAX_OUTPUTS_PER_NODE = 4096
MAX_LIST = 4096
MAX_LIST_DEPTH = 3
MAX_DIMENSIONS = 16
MAX_SIZE = 2**48
MAX_NAME_CHARACTERS = 512
MAX_TEXT_CHARACTERS = 64
MAX_INTEGER = 2**63 - 1

_VALUE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_TENSOR_NAME = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]*|[0-9]+)(?:\.(?:[A-Za-z_][A-Za-z0-9_]*|[0-9]+))*", re.ASCII)


def check_graph(graph: Graph) -> None:
    """Raise unless the graph can be walked.

    Raises:
        OperatorUnsupported: operators outside the allow-list, by name, or an argument that one does not take.
        ModelCorrupt: the graph contradicts itself.
        ModelUnsafe: a tensor has a name that no parameter of a module can have.
        ModelTooLarge: more nodes, tensors or inputs than are read.
    """
    _check_counts(graph)
    check_operators(node.operator for node in graph.nodes)
    _check_tensors(graph)
    known: set[str] = set()
    for item in graph.inputs:
        _check_input(item)
        _define(item.name, known)
    for node in graph.nodes:
        _check_node(node, graph, known)
    if not graph.outputs:
        raise ModelCorrupt("the network returns nothing")
    for output in graph.outputs:
        _check_argument(output, graph, known)


def check_operators(names: Iterable[str]) -> None:
    """Raise unless every operator is on the allow-list; the message names those that are not."""
    unknown = list(dict.fromkeys(name for name in names if name not in OPERATORS))
    if unknown:
        shown = ", ".join(quoted(name) for name in unknown[:10]) + (", …" if len(unknown) > 10 else "")
        raise OperatorUnsupported(
            f"the network uses operators that are not on the allow-list: {shown}",
            hint="docs/models.md has what is read. Say that part of forward() by other operators, or leave it to"
            " whoever calls the network; torch.export.export alone is enough, without run_decompositions().",
        )


def quoted(name: str) -> str:
    """A stranger's name, short and printable, for a message."""
    return repr(name if len(name) <= 80 else name[:80] + "…")


def check_shape(name: str, shape: Sequence[int | None], refusal: type[InputError], *, hint: str = "") -> None:
    """Raise unless an array could have that shape.

    Args:
        name: of the array, for the message.
        shape: sizes; None where a size may differ.
        refusal: the error to raise.
        hint: of the error.
    """
    sizes = [size for size in shape if size is not None]
    sound = len(shape) <= MAX_DIMENSIONS and all(0 <= size <= MAX_SIZE for size in sizes)
    # An axis of size 0 excuses nothing: numpy multiplies the others all the same, and overflows.
    if not sound or prod(size for size in sizes if size) > MAX_SIZE:
        raise refusal(
            f"{quoted(name)} has a shape that no array has: {quoted(str(tuple(shape)))}; at most {MAX_DIMENSIONS} axes"
            f" of together {MAX_SIZE} elements are read",
            hint=hint,
        )


def _check_counts(graph: Graph) -> None:
    for what, count, most in (
        ("nodes", len(graph.nodes), MAX_NODES),
        ("tensors", len(graph.tensors), MAX_TENSORS),
        ("inputs", len(graph.inputs), MAX_INPUTS),
        ("outputs", len(graph.outputs), MAX_INPUTS),
    ):
        if count > most:
            raise ModelTooLarge(f"the network has {count} {what}; at most {most} are read")


def _check_tensors(graph: Graph) -> None:
    branches: set[str] = set()
    for name, info in graph.tensors.items():
        _check_tensor_name(name)
        _check_tensor(name, info)
        parts = name.split(".")
        branches.update(".".join(parts[:depth]) for depth in range(1, len(parts)))
    both = branches & graph.tensors.keys()
    if both:
        raise ModelCorrupt(f"{quoted(min(both))} is the name of a tensor and of a module that has tensors")


def _check_tensor_name(name: str) -> None:
    if len(name) > MAX_NAME_CHARACTERS or not _TENSOR_NAME.fullmatch(name):
        raise ModelUnsafe(
            f"a tensor is called {quoted(name)}; names are identifiers and numbers joined by dots",
            hint="Rename the parameter or the module that holds it and export again.",
        )
    if any(part.startswith("__") for part in name.split(".")):
        raise ModelUnsafe(
            f"a tensor is called {quoted(name)}; names that begin with two underscores belong to Python",
            hint="Rename the parameter or the module that holds it and export again.",
        )


def _check_tensor(name: str, info: TensorInfo) -> None:
    if info.kind not in {"parameter", "buffer", "constant"}:
        raise ModelCorrupt(f"{quoted(name)} is a {info.kind!r}; a tensor is a parameter, a buffer or a constant")
    _check_dtype(info.dtype)
    check_shape(name, info.shape, ModelCorrupt)


def _check_input(item: Input) -> None:
    _check_dtype(item.dtype)
    check_shape(item.name, item.shape, ModelCorrupt)


def _check_node(node: Node, graph: Graph, known: set[str]) -> None:
    allowed = OPERATORS[node.operator].arguments
    for name, argument in node.arguments.items():
        if name not in allowed:
            raise OperatorUnsupported(
                f"{node.operator} is given {quoted(name)}; it may be given {', '.join(allowed)}",
                hint="Export with the version of torch that Sterna names.",
            )
        _check_argument(argument, graph, known)
    if not 1 <= len(node.outputs) <= MAX_OUTPUTS_PER_NODE:
        raise ModelCorrupt(f"{node.operator} has {len(node.outputs)} results; allowed are 1 to {MAX_OUTPUTS_PER_NODE}")
    for output in node.outputs:
        _define(output, known)


def _define(name: str, known: set[str]) -> None:
    if len(name) > MAX_NAME_CHARACTERS or not _VALUE_NAME.fullmatch(name):
        raise ModelCorrupt(f"a value is called {quoted(name)}, which is not an identifier")
    if name in known:
        raise ModelCorrupt(f"two values are called {quoted(name)}")
    known.add(name)


def _check_argument(argument: Argument, graph: Graph, known: set[str], depth: int = 0) -> None:
    if isinstance(argument, ValueRef):
        if argument.name not in known:
            raise ModelCorrupt(f"{quoted(argument.name)} is used before anything makes it")
    elif isinstance(argument, TensorRef):
        if argument.name not in graph.tensors:
            raise ModelCorrupt(f"{quoted(argument.name)} is used, and the network has no tensor of that name")
    elif isinstance(argument, Dtype):
        _check_dtype(argument.name)
    elif isinstance(argument, tuple):
        if len(argument) > MAX_LIST or depth >= MAX_LIST_DEPTH:
            raise ModelTooLarge(f"a list argument is too long or too deep; allowed are {MAX_LIST} and {MAX_LIST_DEPTH}")
        for item in argument:
            _check_argument(item, graph, known, depth + 1)
    else:
        _check_literal(argument)


def _check_literal(literal: bool | float | str | None) -> None:
    if isinstance(literal, str) and len(literal) > MAX_TEXT_CHARACTERS:
        raise ModelTooLarge(f"a text argument has {len(literal)} characters; at most {MAX_TEXT_CHARACTERS} are read")
    if isinstance(literal, int) and not -MAX_INTEGER - 1 <= literal <= MAX_INTEGER:
        raise ModelCorrupt("an integer argument needs more than 64 bits")


def _check_dtype(name: str) -> None:
    if name not in DTYPES:
        raise OperatorUnsupported(
            f"the network uses the element type {quoted(name)}; read are {', '.join(DTYPES)}",
            hint="Convert the network with .float() before exporting it.",
        )
