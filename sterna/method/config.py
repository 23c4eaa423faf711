"""The one frozen configuration of a ternarisation, and what it reports while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Order = Literal["continue", "stop", "cancel"]
Method = Literal["sca", "ste", "twn", "ttq", "rounding"]


@dataclass(frozen=True, slots=True)
class TernaryLayer:
    """One tensor to make ternary.

    Attributes:
        name: dotted name of the parameter, such as `features.0.weight`.
        channel_axis: axis of the output channels, each of which gets a scale.
    """

    name: str
    channel_axis: int = 0


@dataclass(frozen=True, slots=True)
class TernariseConfig:
    """How a network is made ternary. The defaults are what docs/method.md measures.

    Attributes:
        target_sparsity: share of zeros wanted, in (0, 1). With `alpha` given, and with `twn` and `ttq`, it is not
            steered towards.
        steps: optimiser steps in all, landing and recovery included; with `trials`, of one trial.
        granularity: `global`: the whole network has the target; `layer`: every layer has it.
        method: `sca` (α control, short homotopy, late WDR), `ste` (straight-through with exact top-k), `twn` and `ttq`
            (see `baselines`), `rounding` (nothing is trained).
        alpha: None: α is steered (strategy `track`); a number: α is fixed and the sparsity comes out as it may.
        trials: 0: one run; else the strategy `trials`: up to so many fixed α, one after the other, until the sparsity
            is within `tolerance`; the nearest lands on the target.
        tolerance: of `trials`.
        first_alpha: of the first trial; None: the one that the untrained weights would need.
        gradient: `straight-through`; or `exact`, without any gradient estimator, as in the paper: soft weights up to
            the landing and WDR from the first step.
        learning_rate: of the latent weights, in units of a scale per step (Adam).
        scale_learning_rate: of the scales, relative to each scale's own size per step (Adam).
        dense_learning_rate: of biases, normalisation and excluded weights (Adam).
        homotopy_share: share of the steps over which weights go from full precision to ternary.
        landing_share: share of the steps after which the codes are final and only the rest is trained.
        wdr_strength: η, the greatest λ: how far one step moves a weight down the slope of WDR.
        wdr_start: share of the steps after which λ rises from 0 to η.
        wdr_travel: with the exact gradient, the sum of λ over the steps.
        sensitivity: how strongly the thresholds of layers follow what a zero costs there: p is this times the third
            power of the target (see `sensitivity`).
        sensitivity_share: share of the steps after which that is no longer renewed.
        lock_every: steps between two settings of α, and between two reports.
        micro_batch: samples of a batch that are taken at once (see `gradient`); None: all, as long as memory suffices.
        precision: of training steps (see `precision`); `auto`: bf16 on GPUs that have it, else float32.
    """

    target_sparsity: float
    steps: int
    granularity: Literal["global", "layer"] = "global"
    method: Method = "sca"
    alpha: float | None = None
    trials: int = 0
    tolerance: float = 0.0005
    first_alpha: float | None = None
    gradient: Literal["straight-through", "exact"] = "straight-through"
    learning_rate: float = 1e-2
    scale_learning_rate: float = 3e-3
    dense_learning_rate: float = 1e-3
    homotopy_share: float = 0.15
    landing_share: float = 0.85
    wdr_strength: float = 3e-3
    wdr_start: float = 0.5
    wdr_travel: float = 20.0
    sensitivity: float = 0.6
    sensitivity_share: float = 0.3
    lock_every: int = 10
    micro_batch: int | None = None
    precision: Literal["auto", "float32", "bf16"] = "auto"


@dataclass(frozen=True, slots=True)
class Point:
    """Where the training is, after an optimiser step.

    Attributes:
        step: steps done. steps: steps in all.
        loss: task loss of the last batch.
        sparsity: share of latent weights that are zeros when rounded now.
        alpha: α in force (the mean over layers where each has its own).
        strength: λ in force.
        metric: of the network if it were landed now, where this step was validated.
    """

    step: int
    steps: int
    loss: float
    sparsity: float
    alpha: float
    strength: float
    phase: Literal["search", "recover"]
    metric: float | None = None
