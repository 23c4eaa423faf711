"""Two artifacts side by side: what of their networks is the same, by what they decode to and not by their bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sterna.artifact.reader import Artifact
from sterna.graph import DTYPES

State = Literal["same", "changed", "only in a", "only in b", "other shape or type"]


@dataclass(frozen=True, slots=True)
class TensorDifference:
    """One tensor of both.

    Attributes:
        codes_changed: how many codes differ; None where it is not ternary in both.
        sparsity: shares of zeros in a and in b, None where it is not ternary there.
        largest: the greatest absolute difference of values; None where they cannot be subtracted.
    """

    name: str
    state: State
    codes_changed: int | None = None
    sparsity: tuple[float | None, float | None] = (None, None)
    largest: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs.

    Attributes:
        same_graph: operators, inputs and outputs are the same.
        tensors: every tensor of either, in the order of a.
        report: members of the report that differ: name → (in a, in b).
    """

    same_graph: bool
    tensors: tuple[TensorDifference, ...]
    report: dict[str, tuple[Any, Any]]

    @property
    def same_network(self) -> bool:
        """Whether both compute the same."""
        return self.same_graph and all(tensor.state == "same" for tensor in self.tensors)


def compare_artifacts(a: Artifact, b: Artifact) -> Comparison:
    """Decode both, one tensor at a time, and tell what differs.

    Raises:
        ArtifactCorrupt, ArtifactDigestMismatch: as `Artifact.dense`.
    """
    names = [*a.graph.tensors, *(name for name in b.graph.tensors if name not in a.graph.tensors)]
    reports = {
        name: (a.report.get(name), b.report.get(name))
        for name in sorted({*a.report, *b.report})
        if a.report.get(name) != b.report.get(name)
    }
    same_graph = (a.graph.inputs, a.graph.nodes, a.graph.outputs) == (b.graph.inputs, b.graph.nodes, b.graph.outputs)
    return Comparison(same_graph, tuple(_compare(name, a, b) for name in names), reports)


def _compare(name: str, a: Artifact, b: Artifact) -> TensorDifference:
    if name not in b.graph.tensors:
        return TensorDifference(name, "only in a")
    if name not in a.graph.tensors:
        return TensorDifference(name, "only in b")
    if a.graph.tensors[name] != b.graph.tensors[name]:
        return TensorDifference(name, "other shape or type")
    shares = tuple(_sparsity(name, artifact) for artifact in (a, b))
    changed = None
    if None not in shares:
        changed = int(np.count_nonzero(a.codes(name) != b.codes(name)))
    one, other = a.dense(name), b.dense(name)
    same = one.dtype == other.dtype and one.tobytes() == other.tobytes()
    return TensorDifference(
        name,
        "same" if same and changed in {None, 0} else "changed",
        changed,
        (shares[0], shares[1]),
        _largest(_values(one, a, name), _values(other, b, name)),
    )


def _sparsity(name: str, artifact: Artifact) -> float | None:
    return next((layer.sparsity for layer in artifact.layers if layer.name == name), None)


def _values(array: NDArray[Any], artifact: Artifact, name: str) -> NDArray[np.float64]:
    """As float64; bfloat16 from its bit patterns."""
    bits = artifact.graph.tensors[name].dtype == "bfloat16" and array.dtype == DTYPES["bfloat16"]
    plain = (array.astype(np.uint32) << 16).view(np.float32) if bits else array
    return plain.astype(np.float64)


def _largest(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    if not one.size:
        return 0.0
    with np.errstate(invalid="ignore"):
        distance = np.where(one == other, 0.0, np.abs(one - other))
    return None if np.isnan(distance).any() else float(distance.max())
