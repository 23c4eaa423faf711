"""Make a trained network ternary with exactly the zeros asked for, in one fine-tuning run.

Every step: the network runs with W = s·((1 − κ)·v + κ·T(v)); Adam moves v, the scales and the dense parameters down
the task loss; then v takes one step of size λ down the slope of WDR, *outside* Adam, as AdamW does with weight decay,
because inside the loss Adam would rescale it until λ meant nothing. Every few steps the controller sets τ, and with
it α. At landing the codes become final with the exact count; what is left trains scales, normalisation and biases,
and statistics are renewed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from sterna.errors import Cancelled, TrainingDiverged
from sterna.method.batches import Batch, Samples
from sterna.method.config import Order, Point, TernariseConfig, TernaryLayer
from sterna.method.controller import FixedAlpha, QuantileLock, mean_alpha
from sterna.method.evaluation import target_of
from sterna.method.latent import LatentWeights
from sterna.method.objective import Objective
from sterna.method.recovery import renew_statistics
from sterna.method.schedule import Moment, cosine, landing_step, moment, recovery_steps
from sterna.method.wdr import wdr_slope


@dataclass(frozen=True, slots=True)
class Ternarised:
    """What a ternarisation gives. The network itself was changed in place to W = s·codes.

    Attributes:
        layers: for each ternarised name its codes, int8 in the layer's shape, and scales, float32 (C, 1, …).
        alpha: α at landing.
        steps: optimiser steps done.
        stopped: the run was asked to finish early, and did.
    """

    layers: dict[str, tuple[Tensor, Tensor]]
    alpha: float
    steps: int
    stopped: bool


@dataclass(frozen=True, slots=True)
class Task:
    """What the network is trained on.

    Attributes:
        samples: training samples.
        objective: loss.
        teacher: the original network in evaluation mode, where the objective imitates it.
        seed: chooses the batches and the dropout.
    """

    samples: Samples
    objective: Objective
    teacher: nn.Module | None = None
    seed: int = 0


def ternarise(
    network: nn.Module,
    layers: Sequence[TernaryLayer],
    task: Task,
    config: TernariseConfig,
    *,
    on_step: Callable[[Point], Order] = lambda _: "continue",
) -> Ternarised:
    """Ternarise the named weights of `network` in place.

    Args:
        network: any module; ends in evaluation mode with its weights replaced by s·codes.
        layers: what is ternarised.
        task: data, objective, seed.
        config: target, steps and schedule.
        on_step: called at every lock of α; its answer continues, stops (land now; in the recovery: end it) or cancels.

    Raises:
        TrainingDiverged: the loss became NaN or infinite.
        Cancelled: `on_step` said so.
    """
    torch.manual_seed(task.seed)
    run = _Run(network, layers, task, config)
    run.search(on_step)
    run.recover(on_step)
    run.install()
    renew_statistics(network, task.samples, run.generator)
    network.requires_grad_(requires_grad=False)
    return Ternarised(run.latent.codes_by_name(run.codes), mean_alpha(run.threshold), run.steps_done, run.stopped)


class _Run:
    """One ternarisation: the state that search and recovery share."""

    def __init__(self, network: nn.Module, layers: Sequence[TernaryLayer], task: Task, config: TernariseConfig) -> None:
        self.network, self.task, self.config = network, task, config
        parameters = dict(network.named_parameters())
        self.latent = LatentWeights(parameters, layers, config.target_sparsity).to(_device(network))
        self.names = [layer.name for layer in layers]
        self.lock = self._controller()
        self.generator = torch.Generator().manual_seed(task.seed)
        self.batches: Iterator[Batch] = task.samples.shuffled(self.generator)
        for name in self.names:
            parameters[name].requires_grad_(False)
        dense = [p for name, p in parameters.items() if name not in set(self.names) and p.is_floating_point()]
        self.optimiser = torch.optim.Adam(
            [
                {"params": [self.latent.v], "base": config.learning_rate},
                {"params": [self.latent.log_scale], "base": config.scale_learning_rate},
                {"params": dense, "base": config.dense_learning_rate},
            ],
            lr=config.learning_rate,
            fused=True,
        )
        self.threshold = self.lock.threshold(self.latent.v.detach())
        self.codes = torch.empty(0)
        self.steps_done = 0
        self.stopped = False
        self.loss = torch.empty(0)

    def search(self, on_step: Callable[[Point], Order]) -> None:
        """Train v with α controlled, then land."""
        landing = landing_step(self.config)
        for step in range(landing):
            now = moment(self.config, step)
            locking = step % self.config.lock_every == 0
            if locking:
                self.threshold = self._lock(now).threshold(self.latent.v.detach())
            self._optimise(self.latent.weights(self.threshold, now.hardness), now.rate)
            if now.strength > 0:
                self._damp(now.strength)
            if (locking or step == landing - 1) and self._order(on_step, now.strength, "search") == "stop":
                self.stopped = self.steps_done < landing
                break
        self.threshold = self.lock.threshold(self.latent.v.detach())
        self.codes = self.lock.land(self.latent.v.detach())

    def recover(self, on_step: Callable[[Point], Order]) -> None:
        """Train everything but the codes, as long as the schedule says, from the learning rate at landing to zero."""
        self.latent.v.requires_grad_(False)
        length = recovery_steps(self.config, self.steps_done)
        start = moment(self.config, self.steps_done).rate
        for step in range(length):
            self._optimise(self.latent.weights_of(self.codes), start * cosine(step / length))
            last = step == length - 1
            if (step % self.config.lock_every == 0 or last) and self._order(on_step, 0.0, "recover") == "stop":
                if self.stopped or last:
                    continue  # A search that was stopped still gets its recovery, which is short.
                self.stopped = True
                break

    def install(self) -> None:
        """Write W = s·codes into the network."""
        parameters = dict(self.network.named_parameters())
        with torch.no_grad():
            for name, weight in self.latent.weights_of(self.codes).items():
                parameters[name].copy_(weight)

    def _optimise(self, weights: dict[str, Tensor], rate: float) -> None:
        self.network.train()
        batch = next(self.batches)
        target = target_of(batch, self.task.objective, self.task.teacher)
        output = functional_call(self.network, weights, batch.inputs)
        output = cast("Tensor", output[0] if isinstance(output, tuple) else output)
        loss = self.task.objective.loss(output, target)
        for group in self.optimiser.param_groups:
            group["lr"] = group["base"] * rate
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.loss = loss.detach()
        self.steps_done += 1

    def _damp(self, strength: float) -> None:
        with torch.no_grad():
            alpha = 2.0 * self.threshold.square()
            self.latent.v.sub_(wdr_slope(self.latent.v, alpha), alpha=strength)

    def _order(self, on_step: Callable[[Point], Order], strength: float, phase: Literal["search", "recover"]) -> Order:
        """Report and ask. Only here do figures leave the device, so that steps in between need not wait for it."""
        loss = float(self.loss)
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"the loss was {loss} at step {self.steps_done} of {self.config.steps}",
                hint="Check that the data is scaled as it was when the network was trained.",
            )
        v = self.latent.v.detach()
        zeros = float((v.abs() <= self.threshold).sum()) / v.numel() if phase == "search" else self._landed()
        point = Point(
            step=self.steps_done,
            steps=self.config.steps,
            loss=loss,
            sparsity=zeros,
            alpha=mean_alpha(self.threshold),
            strength=strength,
            phase=phase,
        )
        order = on_step(point)
        if order == "cancel":
            raise Cancelled("the run was cancelled")
        return order

    def _landed(self) -> float:
        return float((self.codes == 0).sum()) / self.codes.numel()

    def _controller(self) -> QuantileLock | FixedAlpha:
        if self.config.alpha is not None:
            return FixedAlpha(self.config.alpha)
        return self._quantile_lock(self.config.target_sparsity)

    def _lock(self, now: Moment) -> QuantileLock | FixedAlpha:
        if now.target_share >= 1.0 or isinstance(self.lock, FixedAlpha):
            return self.lock
        return self._quantile_lock(self.config.target_sparsity * now.target_share)

    def _quantile_lock(self, sparsity: float) -> QuantileLock:
        size = self.latent.v.numel()
        groups = [(0, size)] if self.config.granularity == "global" else self.latent.extents()
        return QuantileLock(groups, [round((last - first) * sparsity) for first, last in groups], size)


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device
