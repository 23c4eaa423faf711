"""Make a trained network ternary with exactly the zeros asked for, in one fine-tuning run.

Every step of the default: the network runs with W = s·((1 − κ)·v + κ·T(v)); Adam moves v, the scales and the dense
parameters down the task loss; then v takes one step of size λ down the slope of WDR, *outside* Adam, as AdamW does with
weight decay, because inside the loss Adam would rescale it until λ meant nothing. Every few steps the controller sets
τ, and with it α. At landing the codes become final with the exact count; what is left trains scales, normalisation and
biases, and statistics are renewed. Other methods (`TernariseConfig.method`) leave parts of this out: all are compared
in one loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from sterna.method.config import Order, Point, TernariseConfig, TernaryLayer
from sterna.method.controller import mean_alpha
from sterna.method.recovery import renew_statistics
from sterna.method.run import Run
from sterna.method.run_state import Checkpoint, RunState
from sterna.method.task import Task, Validation
from sterna.trials import Trial

__all__ = ["Checkpoint", "Task", "Ternarised", "Validation", "ternarise"]


@dataclass(frozen=True, slots=True)
class Ternarised:
    """What a ternarisation gives. The network itself was changed in place to W = s·codes.

    Attributes:
        layers: for each ternarised name its codes, int8 in the layer's shape, and scales, float32 (C, 1, …).
        alpha: α at landing.
        steps: optimiser steps done.
        stopped: the run was asked to finish early, and did.
        micro_batch: samples that steps took at once, where memory did not suffice for a whole batch or it was wished.
        precision: that steps computed in.
        trials: what was tried, in order, where α was searched by trials.
    """

    layers: dict[str, tuple[Tensor, Tensor]]
    alpha: float
    steps: int
    stopped: bool
    trials: tuple[Trial, ...] = ()
    micro_batch: int | None = None
    precision: Literal["float32", "bf16"] = "float32"


def ternarise(  # noqa: PLR0913  one verb: network, layers, task, config; two callbacks and where to begin
    network: nn.Module,
    layers: Sequence[TernaryLayer],
    task: Task,
    config: TernariseConfig,
    *,
    on_step: Callable[[Point], Order] = lambda _: "continue",
    checkpoint: Checkpoint = lambda _: None,
    resume: RunState | None = None,
) -> Ternarised:
    """Ternarise the named weights of `network` in place.

    Args:
        network: any module; ends in evaluation mode with its weights replaced by s·codes.
        layers: what is ternarised.
        task: data, objective, seed.
        config: target, steps and schedule.
        on_step: called at every lock of α; its answer continues, stops (land now; in the recovery: end it) or cancels.
        checkpoint: called before every step with a function that gives the run's state, which costs nothing unless
            that is called. What it gives is overwritten by the next step: write it, or take its `copied()`.
        resume: go on from such a state, with `network`, `layers`, `task` and `config` as they were at first: on a CPU
            and with as many threads the result is the same to the bit.

    Raises:
        TrainingDiverged: the loss became NaN or infinite.
        OutOfMemory: memory does not suffice for a quarter of a batch.
        Cancelled: `on_step` said so.
        CheckpointRejected: `resume` is not of this run; nothing of `network` has changed.
    """
    torch.manual_seed(task.seed)
    run = Run(network, layers, task, config, checkpoint)
    if resume is not None:
        run.resume(resume)
    if not run.landed:
        search = run.search_by_trials if config.trials else run.search
        search(on_step)
    run.recover(on_step)
    run.install(run.codes)
    renew_statistics(network, task.samples, run.generator)
    network.requires_grad_(requires_grad=False)
    layers_by_name = run.latent.codes_by_name(run.codes)
    return Ternarised(
        layers_by_name,
        mean_alpha(run.threshold),
        run.steps_done,
        run.stopped,
        tuple(run.bracket.trials),
        run.descent.gradient.micro_batch,
        run.descent.precision,
    )
