"""Tensors of the file that a network cuts and joins before it uses them, as torch's exporter does with gates.

Layers that must have their weights as tensors read such a one as if the file held it; whoever does not ask gets the
nodes as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from numpy.typing import NDArray

from sterna.intake.onnx.tensors import StoredTensor
from sterna.intake.onnx.values import Computed, Stored, Value

MAX_DEPTH: Final = 8

Arrange = Callable[[list[NDArray[Any]]], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Rearranged:
    """Tensors cut or joined; see `StoredTensor`.

    Attributes:
        name: of the first of them.
        sources: what is cut or joined.
        shape: of the result.
        arrange: makes it of the elements of the sources.
        depth: how many such steps lie one upon the other.
    """

    name: str
    sources: tuple[StoredTensor, ...]
    shape: tuple[int, ...]
    arrange: Arrange
    depth: int

    @property
    def dtype(self) -> str:
        """Torch name of the element type."""
        return self.sources[0].dtype

    def read(self) -> NDArray[Any]:
        """The elements."""
        return self.arrange([source.read() for source in self.sources])


def origin_of(value: Value) -> StoredTensor | None:
    """The tensor that a value is, perhaps cut and joined; None where the network computes it."""
    if isinstance(value, Stored):
        return value.tensor
    return value.origin if isinstance(value, Computed) else None


def rearranged(made: Computed, values: list[Value], arrange: Arrange) -> Computed:
    """The result of a node that cuts or joins `values`, which knows what it is made of where all of them are stored."""
    sources = tuple(origin for value in values if (origin := origin_of(value)) is not None)
    depth = 1 + max((source.depth for source in sources if isinstance(source, Rearranged)), default=0)
    shape = tuple(size for size in made.shape or () if size is not None)
    if len(sources) != len(values) or made.shape is None or len(shape) != len(made.shape) or depth > MAX_DEPTH:
        return made
    return replace(made, origin=Rearranged(sources[0].name, sources, shape, arrange, depth))
