"""A network as plain data: what model files become, what the artifact stores, what a module is built from.

A `Graph` is a list of nodes in the order they run. A node names an operator of the allow-list and gives its
arguments by name. An argument is a literal, a reference to the value that an earlier node (or an input) made,
a reference to a tensor of the network by its original dotted name, or a tuple of arguments. Nothing here can
hold code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

TensorKind = Literal["parameter", "buffer", "constant"]


@dataclass(frozen=True, slots=True)
class ValueRef:
    """What an input or an earlier node made, by its name."""

    name: str


@dataclass(frozen=True, slots=True)
class TensorRef:
    """A tensor that the network owns, by its original dotted name, such as `features.0.weight`."""

    name: str


@dataclass(frozen=True, slots=True)
class Dtype:
    """An element type given as an argument, by its torch name, such as `float32`."""

    name: str


Argument: TypeAlias = "ValueRef | TensorRef | Dtype | bool | int | float | str | tuple[Argument, ...] | None"


@dataclass(frozen=True, slots=True)
class Input:
    """One input of the network.

    Attributes:
        name: as the `forward` of the original called it.
        dtype: torch name of the element type.
        shape: sizes; None where the size may differ from call to call.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """What is known of a tensor without reading its bytes.

    Attributes:
        kind: a parameter is trained, a buffer is state, a constant is neither.
        dtype: torch name of the element type.
        shape: sizes.
    """

    kind: TensorKind
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """One call of one operator.

    Attributes:
        operator: a key of `OPERATORS`, such as `aten.conv2d.default`.
        arguments: by the operator's own argument names, in its order.
        outputs: names of the values it makes. One name: the call's return itself. Several: its return is
            unpacked.
        unpacked: the return is a sequence even where it has one element.
    """

    operator: str
    arguments: Mapping[str, Argument]
    outputs: tuple[str, ...]
    unpacked: bool = False


@dataclass(frozen=True, slots=True)
class Graph:
    """The whole network without the bytes of its tensors.

    Attributes:
        inputs: in the order in which `forward` takes them.
        tensors: what the network owns, by original name, in the original order.
        nodes: in the order they run; each uses only what came before it.
        outputs: one reference: the network returns that value; several: a tuple of them.
    """

    inputs: tuple[Input, ...]
    tensors: Mapping[str, TensorInfo]
    nodes: tuple[Node, ...]
    outputs: tuple[ValueRef, ...]


@dataclass(frozen=True, slots=True)
class Network:
    """A graph and the values of its tensors.

    Attributes:
        graph: the checked graph.
        tensors: one array for each of `graph.tensors`, possibly memory-mapped and read-only. numpy has no
            bfloat16: such a tensor is the uint16 array of its bit patterns, and `graph.tensors[name].dtype`
                says what it is.
    """

    graph: Graph
    tensors: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)
