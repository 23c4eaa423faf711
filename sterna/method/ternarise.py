"""Make a trained network ternary with exactly the zeros asked for, in one fine-tuning run.

Every step of the default: the network runs with W = s·((1 − κ)·v + κ·T(v)); Adam moves v, the scales and the dense
parameters down the task loss; then v takes one step of size λ down the slope of WDR, *outside* Adam, as AdamW does with
weight decay, because inside the loss Adam would rescale it until λ meant nothing. Every few steps the controller sets
τ, and with it α. At landing the codes become final with the exact count; what is left trains scales, normalisation and
biases, and statistics are renewed. Other methods (`TernariseConfig.method`) leave parts of this out: all are compared
in one loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from sterna.errors import Cancelled, TrainingDiverged
from sterna.method.baselines import TTQ_FACTOR, TWN_FACTOR, ChannelThreshold, largest_magnitude, mean_magnitude
from sterna.method.batches import Batch, Samples
from sterna.method.config import Order, Point, TernariseConfig, TernaryLayer
from sterna.method.controller import Controller, FixedAlpha, LayerwiseLock, QuantileLock, mean_alpha
from sterna.method.evaluation import first_output, target_of
from sterna.method.latent import LatentWeights
from sterna.method.masters import MasterCopies
from sterna.method.objective import Objective
from sterna.method.recovery import renew_statistics
from sterna.method.schedule import Moment, cosine, landing_step, moment, recovery_steps
from sterna.method.sensitivity import layer_sensitivity
from sterna.method.trials import AlphaBracket, Trial
from sterna.method.wdr import wdr_slope


@dataclass(frozen=True, slots=True)
class Ternarised:
    """What a ternarisation gives. The network itself was changed in place to W = s·codes.

    Attributes:
        layers: for each ternarised name its codes, int8 in the layer's shape, and scales, float32 (C, 1, …).
        alpha: α at landing.
        steps: optimiser steps done.
        stopped: the run was asked to finish early, and did.
        trials: what was tried, in order, where α was searched by trials.
    """

    layers: dict[str, tuple[Tensor, Tensor]]
    alpha: float
    steps: int
    stopped: bool
    trials: tuple[Trial, ...] = ()


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
    trials = run.search_by_trials(on_step) if config.trials else run.search(on_step)
    run.recover(on_step)
    run.install()
    renew_statistics(network, task.samples, run.generator)
    network.requires_grad_(requires_grad=False)
    layers_by_name = run.latent.codes_by_name(run.codes)
    return Ternarised(layers_by_name, mean_alpha(run.threshold), run.steps_done, run.stopped, trials)


class _Run:
    """One ternarisation: the state that search and recovery share."""

    def __init__(self, network: nn.Module, layers: Sequence[TernaryLayer], task: Task, config: TernariseConfig) -> None:
        self.network, self.task, self.config = network, task, config
        parameters = dict(network.named_parameters())
        self.latent = LatentWeights(parameters, layers, config.target_sparsity).to(_device(network))
        names = {layer.name for layer in layers}
        for name in names:
            parameters[name].requires_grad_(False)
        dense = {name: p for name, p in parameters.items() if name not in names and p.is_floating_point()}
        self.dense = MasterCopies(dense)
        self.optimiser = self._optimiser()
        self.generator = torch.Generator().manual_seed(task.seed)
        self.batches: Iterator[Batch] = task.samples.shuffled(self.generator)
        self.controller = self._controller()
        self.sensitivity: Tensor | None = None
        self.threshold = self.controller.threshold(self.latent.v.detach())
        self.codes = torch.empty(0)
        self.steps_before = 0  # of earlier trials
        self.steps_done = 0
        self.stopped = False
        self.loss = torch.zeros(())

    def search(self, on_step: Callable[[Point], Order]) -> tuple[Trial, ...]:
        """Train v with α controlled, then land."""
        landing = landing_step(self.config)
        for step in range(landing):
            now = moment(self.config, step)
            locking = step % self.config.lock_every == 0
            if locking:
                self._lock(step, now)
            soft = self.config.gradient == "exact"
            weights = self.latent.soft_weights() if soft else self.latent.weights(self.threshold, now.hardness)
            self._optimise(weights, now.rate)
            if now.strength > 0:
                self._damp(now.strength)
            if (locking or step == landing - 1) and self._order(on_step, now.strength, "search") == "stop":
                self.stopped = step + 1 < landing or bool(self.config.trials)
                break
        self._land()
        return ()

    def search_by_trials(self, on_step: Callable[[Point], Order]) -> tuple[Trial, ...]:
        """Search with one fixed α after the other, each from the weights of the nearest so far; then land exactly."""
        exact = self.controller
        bracket = AlphaBracket(self.config.target_sparsity, first=mean_alpha(self.threshold))
        best = self._state()
        while len(bracket.trials) < self.config.trials and not bracket.met(self.config.tolerance) and not self.stopped:
            self._restore(best)
            self.steps_before = self.steps_done
            alpha = bracket.next_alpha()
            self.controller = FixedAlpha(alpha)
            self.search(on_step)
            if bracket.add(Trial(alpha, self._landed())):
                best = self._state()
        self._restore(best)
        self.controller = exact
        self._land()
        return tuple(bracket.trials)

    def recover(self, on_step: Callable[[Point], Order]) -> None:
        """Train everything but the codes, as long as the schedule says, from the learning rate at landing to zero."""
        self.latent.v.requires_grad_(False)
        searched = self.steps_done - self.steps_before
        length = recovery_steps(self.config, searched)
        start = moment(self.config, searched).rate if length else 0.0
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
        self.dense.install()

    def _optimise(self, weights: dict[str, Tensor], rate: float) -> None:
        self.network.train()
        batch = next(self.batches)
        target = target_of(batch, self.task.objective, self.task.teacher)
        output = first_output(functional_call(self.network, weights | self.dense.rounded(), batch.inputs))
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

    def _lock(self, step: int, now: Moment) -> None:
        """Set τ, and with it α, for the steps to come."""
        config = self.config
        moments = self.optimiser.state[self.latent.v]
        if (
            config.method == "sca"
            and config.sensitivity
            and moments
            and step <= config.sensitivity_share * config.steps
        ):
            exponent = config.sensitivity * config.target_sparsity**3
            self.sensitivity = layer_sensitivity(moments["exp_avg_sq"], self.latent.sizes, exponent)
        controller = self.controller
        if now.target_share < 1.0:
            controller = self._quantile_lock(config.target_sparsity * now.target_share)
        v = self.latent.v.detach()
        self.threshold = controller.threshold(v, self.sensitivity)
        if config.method == "sca" and config.alpha is None and now.hardness >= 1.0:
            self.threshold = self.latent.anchor(self.threshold)
        if config.method == "twn":
            self.latent.fit_scales(v.sign() * (v.abs() > self.threshold))
            self.threshold = controller.threshold(v)

    def _land(self) -> None:
        v = self.latent.v.detach()
        self.threshold = self.controller.threshold(v, self.sensitivity)
        self.codes = self.controller.land(v, self.sensitivity)
        if self.config.method in {"twn", "rounding"} or self.config.gradient == "exact":
            self.latent.fit_scales(self.codes)

    def _state(self) -> dict[str, dict[str, Any]]:
        parts = {"latent": self.latent, "network": self.network, "dense": self.dense}
        return {name: {k: t.clone() for k, t in part.state_dict().items()} for name, part in parts.items()}

    def _restore(self, state: dict[str, dict[str, Any]]) -> None:
        self.latent.load_state_dict(state["latent"])
        self.network.load_state_dict(state["network"])
        self.dense.load_state_dict(state["dense"])
        self.optimiser = self._optimiser()

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
            steps=self.config.steps + max(0, self.config.trials - 1) * landing_step(self.config),
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

    def _optimiser(self) -> torch.optim.Adam:
        config = self.config
        scale_rate = 0.0 if config.method == "twn" else config.scale_learning_rate
        return torch.optim.Adam(
            [
                {"params": [self.latent.v], "base": config.learning_rate},
                {"params": [self.latent.log_scale], "base": scale_rate},
                {"params": self.dense.trained, "base": config.dense_learning_rate},
            ],
            lr=config.learning_rate,
            fused=True,
        )

    def _controller(self) -> Controller:
        config, latent = self.config, self.latent
        if config.method == "twn":
            return ChannelThreshold(TWN_FACTOR, mean_magnitude, latent.channels, latent.join)
        if config.method == "ttq":
            return ChannelThreshold(TTQ_FACTOR, largest_magnitude, latent.channels, latent.join)
        if config.alpha is not None:
            return FixedAlpha(config.alpha)
        return self._quantile_lock(config.target_sparsity)

    def _quantile_lock(self, sparsity: float) -> Controller:
        lock = QuantileLock if self.config.granularity == "global" else LayerwiseLock
        return lock(self.latent.sizes, sparsity)


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device
