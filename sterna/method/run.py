"""One ternarisation under way: search, landing, recovery, and its state between two steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import torch
from torch import Tensor, nn

from sterna.errors import Cancelled, CheckpointRejected, TrainingDiverged
from sterna.method.baselines import TTQ_FACTOR, TWN_FACTOR, ChannelThreshold, largest_magnitude, mean_magnitude
from sterna.method.config import Order, Point, TernariseConfig, TernaryLayer
from sterna.method.controller import Controller, FixedAlpha, LayerwiseLock, QuantileLock, mean_alpha
from sterna.method.descent import Descent
from sterna.method.run_state import (
    Checkpoint,
    Phase,
    RunState,
    check_tensors,
    moments_of,
    moving_tensors,
    random_states,
    set_random_states,
)
from sterna.method.schedule import Moment, cosine, landing_step, moment, recovery_steps
from sterna.method.sensitivity import layer_sensitivity
from sterna.method.task import Task
from sterna.method.wdr import harden, wdr_slope
from sterna.trials import AlphaBracket, Trial


class Run:
    """One ternarisation: the state that search and recovery share."""

    def __init__(
        self,
        network: nn.Module,
        layers: Sequence[TernaryLayer],
        task: Task,
        config: TernariseConfig,
        checkpoint: Checkpoint,
    ) -> None:
        self.network, self.task, self.config, self.checkpoint = network, task, config, checkpoint
        self.descent = Descent(network, layers, task, config)
        self.latent, self._device = self.descent.latent, self.descent.device
        self._ternarised = {layer.name for layer in layers}
        self.generator = torch.Generator().manual_seed(task.seed)
        self.batches = task.samples.shuffled(self.generator)
        self.controller = self._controller()
        self.sensitivity: Tensor | None = None
        self.threshold = self.controller.threshold(self.latent.v)
        self.codes = torch.empty(0)
        first = mean_alpha(self.threshold) if config.first_alpha is None else config.first_alpha
        self.bracket = AlphaBracket(config.target_sparsity, first)
        self.trial_alpha: float | None = None
        self.best: dict[str, Tensor] = {}  # of the nearest trial
        self.steps_before = 0  # of earlier trials
        self.steps_done = 0
        self.validated = 0  # steps done when that was last
        self.searched = 0
        self.landed = False
        self.stopped = False

    def search(self, on_step: Callable[[Point], Order]) -> None:
        """Train v with α controlled, then land."""
        landing = landing_step(self.config)
        self.network.train()
        for step in range(self.steps_done - self.steps_before, landing):
            self.checkpoint(self.state)
            now = moment(self.config, step)
            locking = step % self.config.lock_every == 0
            if locking:
                self._lock(step, now)
            if self.config.gradient == "exact":
                self.latent.soften()
            else:
                self.latent.harden(self.threshold, now.hardness)
            self._step(now.rate)
            if now.strength > 0:
                self._damp(now.strength)
            if (locking or step == landing - 1) and self._order(on_step, now.strength, "search") == "stop":
                self.stopped = step + 1 < landing or bool(self.config.trials)
                break
        self._land()

    def search_by_trials(self, on_step: Callable[[Point], Order]) -> None:
        """Search with one fixed α after the other, each from the weights of the nearest so far; then land exactly."""
        exact = self.controller
        self.best = self.best or self._moving_copied()
        while self.trial_alpha is not None or self._wants_trial():
            if self.trial_alpha is None:
                self._begin_again(self.best)
                self.steps_before = self.steps_done
                self.trial_alpha = self.bracket.next_alpha()
            self.controller = FixedAlpha(self.trial_alpha)
            self.search(on_step)
            if self.bracket.add(Trial(self.trial_alpha, self._landed())):
                self.best = self._moving_copied()
            self.trial_alpha = None
        self._begin_again(self.best)
        self.controller = exact
        self._land()

    def recover(self, on_step: Callable[[Point], Order]) -> None:
        """Train everything but the codes, as long as the schedule says, from the learning rate at landing to zero."""
        self.latent.freeze()
        self.latent.fix(self.codes)
        if not self.landed:
            self.searched = self.steps_done - self.steps_before
            self.landed = True
        length = recovery_steps(self.config, self.searched)
        start = moment(self.config, self.searched).rate if length else 0.0
        self.network.train()
        for step in range(self.steps_done - self.steps_before - self.searched, length):
            self.checkpoint(self.state)
            self._step(start * cosine(step / length))
            last = step == length - 1
            if (step % self.config.lock_every == 0 or last) and self._order(on_step, 0.0, "recover") == "stop":
                if self.stopped or last:
                    continue  # A search that was stopped still gets its recovery, which is short.
                self.stopped = True
                break

    def install(self, codes: Tensor) -> None:
        """Write W = s·codes into the network."""
        self.latent.fix(codes)
        self.descent.install()

    def state(self) -> RunState:
        """Where the run stands; its tensors are not copied."""
        moving = self._moving()
        tensors = moving | {"threshold": self.threshold} | random_states(self._device)
        tensors |= moments_of(self.descent.optimiser, beyond=1 if self.landed else 0) | {
            "random/epoch": self.batches.epoch
        }
        if self.landed:
            del tensors["v"]
            tensors["codes"] = self.codes.to(torch.int8)
        if self.sensitivity is not None:
            tensors["sensitivity"] = self.sensitivity
        if self.trial_alpha is not None:
            tensors |= {f"best/{name}": tensor for name, tensor in self.best.items()}
        return RunState(
            phase="recover" if self.landed else "search",
            step=self.steps_done,
            steps_before=self.steps_before,
            searched=self.searched,
            stopped=self.stopped,
            micro_batch=self.descent.gradient.micro_batch,
            drawn=self.batches.drawn,
            trials=tuple(self.bracket.trials),
            trial_alpha=self.trial_alpha,
            config=asdict(self.config),
            tensors={name: tensor.detach() for name, tensor in tensors.items()},
        )

    def resume(self, state: RunState) -> None:
        """Stand where `state` was taken. All of it is checked before anything of the network changes."""
        self._check_numbers(state)
        checked = check_tensors(state, self._moving(), self.descent.optimiser, len(self.latent.sizes), self._device)
        try:
            self.batches.go_to(checked.random["epoch"], state.drawn)
        except ValueError as error:
            raise CheckpointRejected(str(error)) from None
        self._move_to(checked.moving)
        self.best = {name: tensor.to(self._device, copy=True) for name, tensor in checked.best.items()}
        for parameter, moments in checked.moments.items():
            self.descent.optimiser.state[parameter] = dict(moments)
        self.threshold, self.sensitivity = checked.threshold, checked.sensitivity
        if checked.codes is not None:
            self.codes = checked.codes
        self.descent.gradient.micro_batch = state.micro_batch
        self.bracket.trials = list(state.trials)
        self.trial_alpha, self.landed, self.stopped = state.trial_alpha, state.phase == "recover", state.stopped
        self.steps_done, self.steps_before, self.searched = state.step, state.steps_before, state.searched
        self.validated = state.step
        set_random_states(checked.random, self._device)

    def _check_numbers(self, state: RunState) -> None:
        """Refuse numbers that no state of this run has."""
        config, own = state.config, asdict(self.config)
        odd = sorted(name for name in own.keys() | config.keys() if own.get(name) != config.get(name))
        if odd:
            raise CheckpointRejected(f"it is of a run with another {', '.join(odd)[:200]}")
        landing = landing_step(self.config)
        in_trial = state.trial_alpha is not None
        done = state.step - state.steps_before - state.searched
        if state.phase == "search":
            sound = 0 <= done < landing and state.searched == 0 and in_trial == bool(self.config.trials)
        else:
            sound = 0 <= state.searched <= landing and 0 <= done < recovery_steps(self.config, state.searched)
            sound = sound and not in_trial
        parts = state.micro_batch
        sound = sound and (parts is None or 0 < parts <= self.task.samples.batch_size)
        alphas = [trial.alpha for trial in state.trials] + [state.trial_alpha] * in_trial
        sound = sound and len(alphas) <= self.config.trials and state.steps_before == max(0, len(alphas) - 1) * landing
        if not sound or not all(alpha is not None and 0.0 < alpha < 2.0 for alpha in alphas):
            raise CheckpointRejected(f"no state of this run has step {state.step} in {state.phase}")

    def _step(self, rate: float) -> None:
        self.descent.step(next(self.batches), rate)
        self.steps_done += 1

    def _damp(self, strength: float) -> None:
        v = self.latent.v
        v.sub_(wdr_slope(v, 2.0 * self.threshold.square()), alpha=strength)

    def _lock(self, step: int, now: Moment) -> None:
        """Set τ, and with it α, for the steps to come."""
        config = self.config
        moments = self.descent.optimiser.state.get(self.latent.v)
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
        v = self.latent.v
        self.threshold = controller.threshold(v, self.sensitivity)
        if config.method == "sca" and config.alpha is None and now.hardness >= 1.0:
            self.threshold = self.latent.anchor(self.threshold)
        if config.method == "twn":
            self.latent.fit_scales(v.sign() * (v.abs() > self.threshold))
            self.threshold = controller.threshold(v)

    def _land(self) -> None:
        v = self.latent.v
        self.threshold = self.controller.threshold(v, self.sensitivity)
        # Without negative zeros, which a state's int8 could not tell from others.
        self.codes = self.controller.land(v, self.sensitivity) + 0.0
        if self._fits_scales:
            self.latent.fit_scales(self.codes)

    def _moving(self) -> dict[str, Tensor]:
        """What training moves, by the names of `run_state`; not copied."""
        latent: dict[str, Tensor] = {"v": self.latent.v, "log_scale": self.latent.log_scale}
        return latent | moving_tensors(self.network, self._ternarised, self.descent.dense.copies)

    def _wants_trial(self) -> bool:
        config, trials = self.config, self.bracket.trials
        return len(trials) < config.trials and not self.bracket.met(config.tolerance) and not self.stopped

    def _moving_copied(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self._moving().items()}

    def _move_to(self, tensors: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, own in self._moving().items():
                if name in tensors:
                    own.copy_(tensors[name])

    def _begin_again(self, tensors: Mapping[str, Tensor]) -> None:
        self._move_to(tensors)
        self.descent.begin_again()

    def _order(self, on_step: Callable[[Point], Order], strength: float, phase: Phase) -> Order:
        """Report and ask. Only here do figures leave the device, so that steps in between need not wait for it."""
        loss = float(self.descent.loss)
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"the loss was {loss} at step {self.steps_done} of {self.config.steps}",
                hint="Check that the data is scaled as it was when the network was trained.",
            )
        v = self.latent.v
        zeros = float((v.abs() <= self.threshold).sum()) / v.numel() if phase == "search" else self._landed()
        point = Point(
            step=self.steps_done,
            steps=self.config.steps + max(0, self.config.trials - 1) * landing_step(self.config),
            loss=loss,
            sparsity=zeros,
            alpha=mean_alpha(self.threshold),
            strength=strength,
            phase=phase,
            metric=self._metric(),
        )
        order = on_step(point)
        if not self.network.training:  # whoever was told has evaluated it
            self.network.train()
        if order == "cancel":
            raise Cancelled("the run was cancelled")
        return order

    def _metric(self) -> float | None:
        """Where it is time for it, what the network would be worth now."""
        validation = self.task.validation
        if validation is None or self.steps_done - self.validated < validation.every:
            return None
        self.validated = self.steps_done
        # Every step writes the ternarised parameters anew: what is written into them here, it does not see.
        if self.landed:
            self.install(self.codes)
        else:
            self._install_as_landed()
        with torch.random.fork_rng([self._device] if self._device.type == "cuda" else []):
            return validation.measure(self.network)

    def _install_as_landed(self) -> None:
        """Write into the network what a landing now would, and leave the search as it was."""
        latent = self.latent
        kept = latent.v.clone(), latent.log_scale.clone()
        codes = harden(latent.v, self.threshold, 1.0)
        if self._fits_scales:
            latent.fit_scales(codes)
        self.install(codes)
        latent.v.copy_(kept[0])
        latent.log_scale.copy_(kept[1])

    @property
    def _fits_scales(self) -> bool:
        """Whether scales were not trained with hard weights, and are found at the landing."""
        return self.config.method in {"twn", "rounding"} or self.config.gradient == "exact"

    def _landed(self) -> float:
        return float((self.codes == 0).sum()) / self.codes.numel()

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
