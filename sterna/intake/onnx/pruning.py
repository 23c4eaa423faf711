"""Nodes that nothing needs are left out: shapes that were folded, halves of values that nobody asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sterna.graph import Argument, Node, TensorRef, ValueRef


def pruned(nodes: Sequence[Node], outputs: Sequence[ValueRef]) -> tuple[list[Node], set[str]]:
    """The nodes that the outputs depend on, in order, and the names of the tensors that these use."""
    values = {output.name for output in outputs}
    tensors: set[str] = set()
    kept: list[Node] = []
    for node in reversed(nodes):
        if not values.intersection(node.outputs):
            continue
        kept.append(node)
        for reference in _references(tuple(node.arguments.values())):
            (tensors if isinstance(reference, TensorRef) else values).add(reference.name)
    return kept[::-1], tensors


def _references(argument: Argument) -> Iterator[ValueRef | TensorRef]:
    if isinstance(argument, tuple):
        for item in argument:
            yield from _references(item)
    elif isinstance(argument, ValueRef | TensorRef):
        yield argument
