"""What a job would take: artifact bytes from the entropy, time from jobs like it, memory from what training keeps.

| figure | is |
|---|---|
| artifact bytes | ternarisable weights × entropy at the target / 8 + everything else as it is + what frames it |
| steps | as `sterna.compress.plan` chooses them: 16 epochs within bounds, or the budget's epochs |
| seconds | steps × median seconds a step of earlier jobs, scaled by weights; the budget's seconds are a ceiling |
| memory bytes | torch itself + weights, gradients and two moments of Adam, twice for the original + the data |

The number of samples is not read from the data but taken from its size, so a compressed file counts for less.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Final

from api_schemas.estimates import Estimate
from api_schemas.jobs import CompressSpec
from sterna.artifact.entropy import entropy_bits_per_weight
from sterna.intake import ModelInspection
from storage.history import Pace

_BATCH: Final = 64
_EPOCHS: Final = 16
_LEAST_STEPS, _MOST_STEPS = 600, 20_000
_SYNTHETIC_SAMPLES: Final = 2048
_TRAINED_SHARE: Final = 0.8
_RULE_S_PER_STEP_AND_WEIGHT: Final = 6e-8
_RULE_S_PER_STEP: Final = 2e-3
_START_S: Final = 5.0
_TORCH_BYTES: Final = 450 * 2**20
_FRAME_BYTES: Final = 4096
_BYTES_OF_A_LAYER: Final = 400


@dataclass(frozen=True, slots=True)
class Case:
    """What is known of a job before it is one.

    Attributes:
        data_bytes: of its data file; 0 where there is none.
        pace: of earlier jobs like it; None where there are none.
    """

    spec: CompressSpec
    inspection: ModelInspection
    data_bytes: int
    pace: Pace | None


def estimate(case: Case) -> Estimate:
    """Rough figures of a job."""
    found, pace = case.inspection, case.pace
    steps = _steps(case)
    if pace is None:
        per_step = _RULE_S_PER_STEP + _RULE_S_PER_STEP_AND_WEIGHT * found.parameters
    else:
        per_step = pace.seconds_per_step * max(1.0, found.ternarisable_weights / pace.weights)
    seconds = _START_S + steps * per_step
    if case.spec.budget.seconds is not None:
        seconds = min(seconds, _START_S + case.spec.budget.seconds)
    return Estimate(
        seconds=round(seconds, 1),
        memory_bytes=_TORCH_BYTES + 6 * 4 * found.parameters + 2 * case.data_bytes,
        artifact_bytes=_artifact_bytes(case),
        steps=steps,
        parameters=found.parameters,
        ternarisable_weights=found.ternarisable_weights,
        basis="rule" if pace is None else "model" if pace.same_model else "history",
    )


def _artifact_bytes(case: Case) -> int:
    found = case.inspection
    ternary = [layer for layer in found.layers if layer.ternarisable]
    codes = found.ternarisable_weights * entropy_bits_per_weight(case.spec.target_sparsity) / 8
    kept = 4 * (found.parameters - found.ternarisable_weights)
    scales = sum(4 * layer.shape[0] for layer in ternary if layer.shape)
    return round(codes + kept + scales) + _FRAME_BYTES + _BYTES_OF_A_LAYER * len(found.layers)


def _steps(case: Case) -> int:
    per_epoch = -(-_samples(case) // _BATCH)
    if case.spec.budget.epochs is not None:
        return max(2, round(case.spec.budget.epochs * per_epoch))
    return min(_MOST_STEPS, max(_LEAST_STEPS, _EPOCHS * per_epoch))


def _samples(case: Case) -> int:
    if not case.data_bytes:
        return _SYNTHETIC_SAMPLES
    inputs = case.inspection.inputs
    given = sum((8 if one.dtype.endswith("64") else 4) * prod(size or 1 for size in one.shape[1:]) for one in inputs)
    bytes_of_a_sample = given + 8  # and its target
    return max(1, int(_TRAINED_SHARE * case.data_bytes / bytes_of_a_sample))
