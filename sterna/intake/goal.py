"""What training is to reach, and whether a target can serve it: as much as is known without running the network.

| objective | target | output |
|---|---|---|
| classification | whole numbers (samples,) | logits (batch, classes) |
| regression | floating (samples, …) | (batch, …), shaped as the target |
| distillation | not needed | any |

`auto` is classification for whole numbers, regression for floating ones, distillation where there is no target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sterna.errors import DataMismatch, InvalidSpec
from sterna.graph.check import quoted
from sterna.intake.columns import ANY_INTEGER


@dataclass(frozen=True, slots=True)
class Goal:
    """An objective, and the output of the network that it is about.

    Attributes:
        objective: `auto`, `classification`, `regression` or `distillation`.
        output_shape: of the first output, None for a size that may differ; None where nothing is known of it.
    """

    objective: str = "auto"
    output_shape: tuple[int | None, ...] | None = None

    @property
    def classes(self) -> range:
        """The class indices that an integer target may hold."""
        shape = self.output_shape
        if self.objective == "distillation" or shape is None or len(shape) != 2 or shape[1] is None:
            return ANY_INTEGER if self.objective == "distillation" else range(ANY_INTEGER.stop)  # 0 and above
        return range(shape[1])

    def check_presence(self, *, has_target: bool) -> None:
        """Refuse an objective that needs a target where there is none.

        Raises:
            InvalidSpec: it is so.
        """
        if self.objective in {"classification", "regression"} and not has_target:
            raise InvalidSpec(
                f"the objective {self.objective!r} needs a target and the data has none",
                hint="Add an array named target to the data, or use the objective 'distillation'.",
            )

    def check_target(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        """Refuse a target that cannot be learned under the objective.

        Args:
            name: of the array.
            dtype: what its elements become.
            shape: of the array, samples first.

        Raises:
            DataMismatch: it does not fit.
        """
        floating = dtype.kind == "f"
        objective = ("regression" if floating else "classification") if self.objective == "auto" else self.objective
        if objective == "classification":
            self._check_classes(name, dtype, shape)
        elif objective == "regression":
            self._check_values(name, dtype, shape)

    def _check_classes(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        output = self.output_shape
        if dtype.kind != "f" and len(shape) == 1 and (output is None or len(output) == 2):
            return
        one_hot = dtype.kind != "f" and len(shape) == 2
        raise DataMismatch(
            f"classification needs integer class indices (samples,) and logits (batch, classes); found array"
            f" {quoted(name)}, {dtype} of shape {shape}, and an output of shape {_shown(output)}",
            hint=_ONE_HOT if one_hot else "Use the objective 'regression' or 'distillation', or give class indices.",
        )

    def _check_values(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        if dtype.kind == "f" and self._shaped_as_output(shape):
            return
        raise DataMismatch(
            f"regression needs a floating-point target shaped like the output, {_shown(self.output_shape)}; found array"
            f" {quoted(name)}, {dtype} of shape {shape}",
            hint="Reshape the target or convert it with .astype(numpy.float32), or use the objective 'classification'"
            " for class indices.",
        )

    def _shaped_as_output(self, shape: tuple[int, ...]) -> bool:
        output = self.output_shape
        return output is None or (
            len(output) == len(shape)
            and all(size is None or size == found for size, found in zip(output[1:], shape[1:], strict=True))
        )


ANY_GOAL: Final = Goal("distillation")
"""Of a target nothing but its type is asked."""
_ONE_HOT: Final = (
    "Give the index of each class in place of a row of zeros and a one: target.argmax(1). Or make it float32 for"
    " regression."
)


def _shown(shape: tuple[int | None, ...] | None) -> str:
    if shape is None:
        return "unknown"
    return f"({', '.join('any' if size is None else str(size) for size in shape)})"
