"""What can be told of an artifact without decoding it: the layers and the sums over them."""

from __future__ import annotations

from dataclasses import dataclass

from sterna.artifact.entropy import entropy_bits_per_weight
from sterna.artifact.manifest import TernaryEntry


@dataclass(frozen=True, slots=True)
class LayerEntry:
    """One ternary weight.

    Attributes:
        name: original name.
        codec: number in docs/format.md.
        payload_bytes: length of its stored codes.
    """

    name: str
    shape: tuple[int, ...]
    weights: int
    zeros: int
    codec: int
    payload_bytes: int
    scale_shape: tuple[int, ...]

    @property
    def sparsity(self) -> float:
        """Share of zeros, 0 to 1."""
        return self.zeros / self.weights

    @property
    def bits_per_weight(self) -> float:
        """Bits of stored codes per weight."""
        return 8 * self.payload_bytes / self.weights


@dataclass(frozen=True, slots=True)
class Listing:
    """The layers of an artifact, where its bytes are, and sums.

    Attributes:
        file_bytes: length of the file.
        scale_bytes: of all scales.
        dense_bytes: of all tensors that are stored as they are.
    """

    layers: tuple[LayerEntry, ...]
    file_bytes: int
    scale_bytes: int
    dense_bytes: int

    @property
    def weights(self) -> int:
        """Number of ternary weights."""
        return sum(layer.weights for layer in self.layers)

    @property
    def zeros(self) -> int:
        """Number of ternary weights that are 0."""
        return sum(layer.zeros for layer in self.layers)

    @property
    def payload_bytes(self) -> int:
        """Length of all stored codes."""
        return sum(layer.payload_bytes for layer in self.layers)

    @property
    def overhead_bytes(self) -> int:
        """What is neither codes nor scales nor dense tensors: header, manifest and graph."""
        return self.file_bytes - self.payload_bytes - self.scale_bytes - self.dense_bytes

    @property
    def sparsity(self) -> float:
        """Share of zeros among all ternary weights, 0 to 1."""
        return self.zeros / self.weights

    @property
    def bits_per_weight(self) -> float:
        """Bits of stored codes per ternary weight; scales and all else not counted."""
        return 8 * self.payload_bytes / self.weights

    @property
    def entropy_bits_per_weight(self) -> float:
        """H at the overall sparsity: no bound. Uneven layers lie below it, so `bits_per_weight` may, too."""
        return entropy_bits_per_weight(self.sparsity)


def layer_entry(name: str, entry: TernaryEntry, scale_shape: tuple[int, ...]) -> LayerEntry:
    """Join what the manifest says of one ternary weight and the shape of its scale."""
    return LayerEntry(
        name=name,
        shape=entry.shape,
        weights=entry.weights,
        zeros=entry.zeros,
        codec=entry.codec,
        payload_bytes=entry.payload_bytes,
        scale_shape=scale_shape,
    )
