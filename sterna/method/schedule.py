"""What is in force at each step: hardness κ, WDR's λ, the share of the target, the learning rate.

| share of the steps | `sca` | `ste` |
|---|---|---|
| 0 … homotopy_share | κ rises from 0 to 1, weights go from full precision to ternary | κ = 1 from the first step |
| wdr_start … landing_share | λ rises from 0 to η | λ = 0 |
| 0 … landing_share | α is locked to the target | the target rises to its value along a cubic |
| 0 … sensitivity_share | the layers' sensitivity is renewed | none |
| landing_share … 1 | codes are final; scales, normalisation and biases are trained on | the same |

`twn` and `ttq` have κ = 1, λ = 0 and no target; `rounding` has no steps. With the exact gradient κ = 0 to the landing,
and λ rises from the first step to it.

The cubic is that of Zhu and Gupta, *To prune, or not to prune* (2017), eq. 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sterna.method.config import TernariseConfig

LEAST_RECOVERY_STEPS = 50
MOST_STRENGTH = 0.1  # λ above it steps over the wells: |d²R/dw²| reaches 12


@dataclass(frozen=True, slots=True)
class Moment:
    """What is in force at one step.

    Attributes:
        hardness: κ in [0, 1].
        strength: λ of WDR.
        target_share: share of the wanted zeros that is asked for now.
        rate: factor on the learning rates, cosine from 1 to 0.
    """

    hardness: float
    strength: float
    target_share: float
    rate: float


def moment(config: TernariseConfig, step: int) -> Moment:
    """What is in force at `step`, 0 ≤ step < config.steps."""
    done = step / config.steps
    rate = cosine(done)
    if config.gradient == "exact":
        rise = step / landing_step(config)
        return Moment(0.0, min(MOST_STRENGTH, 2.0 * config.wdr_travel * rise / landing_step(config)), 1.0, rate)
    if config.method in {"twn", "ttq"}:
        return Moment(1.0, 0.0, 1.0, rate)
    if config.method == "ste":
        return Moment(1.0, 0.0, 1.0 - (1.0 - _ramp(done, 0.0, 0.5 * config.landing_share)) ** 3, rate)
    hardness = _ramp(done, 0.0, config.homotopy_share)
    strength = config.wdr_strength * _ramp(done, config.wdr_start, config.landing_share)
    return Moment(hardness, strength, 1.0, rate)


def landing_step(config: TernariseConfig) -> int:
    """The step before which the codes become final."""
    if config.method == "rounding":
        return 0
    return min(config.steps - 1, round(config.steps * config.landing_share))


def recovery_steps(config: TernariseConfig, searched: int) -> int:
    """Steps of the recovery after `searched` steps of search: as planned, or in proportion where it was cut short."""
    if config.method == "rounding":
        return 0
    planned = config.steps - landing_step(config)
    return min(planned, max(LEAST_RECOVERY_STEPS, planned * searched // max(1, landing_step(config))))


def cosine(done: float) -> float:
    """From 1 at 0 to 0 at 1, along half a cosine."""
    return 0.5 * (1.0 + math.cos(math.pi * done))


def _ramp(x: float, start: float, end: float) -> float:
    """0 before `start`, 1 after `end`, a line between."""
    if end <= start:
        return 1.0 if x >= start else 0.0
    return min(1.0, max(0.0, (x - start) / (end - start)))
