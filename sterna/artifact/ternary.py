"""A ternary weight: codes of {−1, 0, 1} and a scale that broadcasts against them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sterna.errors import InvalidSpec, NonFiniteWeights


@dataclass(frozen=True, slots=True, eq=False)
class TernaryTensor:
    """One ternary weight; its dense form is scale · codes.

    Attributes:
        codes: int8 of {−1, 0, 1}, in the shape of the weight.
        scale: float32, finite, as many sizes as `codes`, each 1 or that of `codes`; per output channel: (out, 1, …).

    Raises:
        InvalidSpec: a type, a shape or a value that is not allowed.
        NonFiniteWeights: a scale is NaN or infinite.
    """

    codes: NDArray[np.int8]
    scale: NDArray[np.float32]

    def __post_init__(self) -> None:
        _require(self.codes.dtype == np.int8, f"codes are {self.codes.dtype}, int8 is allowed")
        _require(self.scale.dtype == np.float32, f"scale is {self.scale.dtype}, float32 is allowed")
        _require(self.codes.size > 0, "the weight has no elements")
        _require(
            int(self.codes.min()) >= -1 and int(self.codes.max()) <= 1,
            f"codes lie in {self.codes.min()} … {self.codes.max()}, only -1, 0 and 1 are allowed",
        )
        _require(
            scale_fits(self.scale.shape, self.codes.shape),
            f"a scale of shape {self.scale.shape} for a weight of shape {self.codes.shape}",
        )
        if not np.isfinite(self.scale).all():
            raise NonFiniteWeights("a scale is NaN or infinite", hint="Only finite scales can be stored.")

    @property
    def zeros(self) -> int:
        """How many of the codes are 0."""
        return self.codes.size - int(np.count_nonzero(self.codes))

    def dense(self) -> NDArray[np.float32]:
        """Give scale · codes, float32, in the shape of the weight."""
        dense: NDArray[Any] = self.scale * self.codes
        return dense


def scale_fits(scale: tuple[int, ...], weight: tuple[int, ...]) -> bool:
    """Tell whether a scale of this shape belongs to a weight of that shape: each size 1 or the weight's own."""
    return len(scale) == len(weight) and all(a in (1, b) for a, b in zip(scale, weight, strict=True))


def _require(allowed: bool, detail: str) -> None:
    if not allowed:
        raise InvalidSpec(detail, hint="Give int8 codes of -1, 0, 1 and a float32 scale that broadcasts to them.")
