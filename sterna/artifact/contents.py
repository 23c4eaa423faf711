"""What goes into an artifact, checked against the graph before a byte is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from sterna.artifact.element_types import BY_TORCH_NAME
from sterna.artifact.json_text import short
from sterna.artifact.ternary import TernaryTensor
from sterna.errors import InvalidSpec
from sterna.graph import Graph, TensorInfo, check_graph

_HINT = "Give every tensor of the graph once, as `ternary` or as `dense`, in the type and shape that the graph says."


@dataclass(frozen=True, slots=True)
class ArtifactContents:
    """A network with ternary weights, and what is to be told of it.

    Attributes:
        graph: the network.
        ternary: the ternary weights, by original name; at least one.
        dense: every other tensor of `graph.tensors`. bfloat16 is the uint16 array of its bit patterns.
        report: JSON that goes to the manifest as it is: target sparsity, alpha, metrics, SHA-256 of the source, …
    """

    graph: Graph
    ternary: Mapping[str, TernaryTensor]
    dense: Mapping[str, NDArray[Any]]
    report: Mapping[str, Any] = field(default_factory=dict)


def check_contents(contents: ArtifactContents) -> None:
    """Refuse contents that do not make a network.

    Raises:
        ModelCorrupt, ModelUnsafe, ModelTooLarge, OperatorUnsupported: as `sterna.graph.check_graph`.
        InvalidSpec: tensors are missing, superfluous or of another type or shape than the graph says.
    """
    check_graph(contents.graph)
    if not contents.ternary:
        raise InvalidSpec("no ternary weight was given, at least one is needed", hint=_HINT)
    given = [*contents.ternary, *contents.dense]
    if sorted(given) != sorted(contents.graph.tensors):
        odd = (set(given) ^ set(contents.graph.tensors)) | (set(contents.ternary) & set(contents.dense))
        raise InvalidSpec(
            f"tensors are missing, too many or given twice: {', '.join(map(short, sorted(odd)))}", hint=_HINT
        )
    for name, info in contents.graph.tensors.items():
        if name in contents.ternary:
            if contents.ternary[name].codes.shape != info.shape:
                raise InvalidSpec(
                    f"the codes of {short(name)} have the shape {contents.ternary[name].codes.shape}, "
                    f"the graph says {info.shape}",
                    hint=_HINT,
                )
        else:
            _check_dense(name, contents.dense[name], info)


def _check_dense(name: str, array: NDArray[Any], info: TensorInfo) -> None:
    if array.dtype != BY_TORCH_NAME[info.dtype].numpy or array.shape != info.shape:
        raise InvalidSpec(
            f"tensor {short(name)} is {array.dtype} {array.shape}, the graph says {info.dtype} {info.shape}",
            hint=_HINT,
        )
