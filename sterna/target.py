"""Which counts of zeros a target sparsity stands for: arithmetic that the preflight does before anything is trained."""

from __future__ import annotations

from sterna.errors import TargetUnreachable


def wanted_zeros(weights: int, target_sparsity: float, tolerance: float) -> int:
    """The count of zeros nearest to the target.

    Raises:
        TargetUnreachable: no count is within the tolerance: there are too few weights.
    """
    zeros = round(weights * target_sparsity)
    if abs(zeros / weights - target_sparsity) > tolerance:
        raise TargetUnreachable(
            f"{weights} weights can have a sparsity of {zeros / weights:.6f}, not {target_sparsity} ± {tolerance}",
            hint=f"Allow a tolerance of at least {0.5 / weights:.6f}, or a target that is a multiple of 1/{weights}.",
        )
    return zeros
