"""One optimiser step: latent weights, scales and dense parameters go down the task loss.

The network runs with W = s·x as parameters of its own, so a step is that of any training, with one thing before
it, `install`, and one after the backward pass, `carry_gradient` (see `latent`). For a small network a step is made of
operations that take a few microseconds each, and what counts is how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sterna.method.adam import Adam
from sterna.method.batches import Batch
from sterna.method.config import TernariseConfig, TernaryLayer
from sterna.method.evaluation import first_output, target_of
from sterna.method.gradient import BatchGradient
from sterna.method.latent import LatentWeights
from sterna.method.masters import MasterCopies
from sterna.method.precision import cast, choose_precision
from sterna.method.task import Task


class Descent:
    """The trained tensors of a network, and Adam on them.

    Args:
        network: whose parameters are read, and from now on written.
        layers: what of it is ternarised.
        task: samples, objective, teacher.
        config: the learning rates, the precision.

    Attributes:
        latent: v, ρ and x.
        dense: everything else that is trained.
        optimiser: its parameters are v, ρ and the dense ones, in this order.
        gradient: of a batch.
        precision: that steps compute in.
        loss: of the last batch, ().
    """

    def __init__(self, network: nn.Module, layers: Sequence[TernaryLayer], task: Task, config: TernariseConfig) -> None:
        self._network, self._task, self._config = network, task, config
        parameters = dict(network.named_parameters())
        names = {layer.name for layer in layers}
        self.device = next(network.parameters()).device
        self.latent = LatentWeights(parameters, layers, config.target_sparsity)
        self.dense = MasterCopies(
            {name: p for name, p in parameters.items() if name not in names and p.is_floating_point()}
        )
        for name in names:
            parameters[name].requires_grad_()
        self.optimiser = self._adam()
        self.gradient = BatchGradient(
            self._forget_gradient,
            self._carry_gradient,
            divisible=task.samples.divisible,
            micro_batch=config.micro_batch,
        )
        self.precision = choose_precision(config.precision, network, next(task.samples.in_order()))
        self.loss = torch.zeros(())

    def step(self, batch: Batch, rate: float) -> None:
        """Move everything by one step of Adam, with learning rates that are multiplied by `rate`."""
        self.install()
        self.loss = self.gradient.take(batch, self._loss)
        if self._config.gradient == "exact" and self.latent.v.grad is not None:
            self.latent.v.grad.masked_fill_(self.latent.v.abs() > 1.0, 0.0)  # x = clip(v, −1, 1) is level there
        self.optimiser.step(rate)

    def install(self) -> None:
        """Write what is trained into the network."""
        with torch.no_grad():
            self.latent.install()
            self.dense.install()

    def begin_again(self) -> None:
        """Forget Adam's moments."""
        self.optimiser = self._adam()

    def _loss(self, batch: Batch) -> Tensor:
        target = target_of(batch, self._task.objective, self._task.teacher)
        with cast(self.precision, self.device):
            outputs = self._network(*batch.inputs)
        return self._task.objective.loss(first_output(outputs), target)

    def _forget_gradient(self) -> None:
        self.latent.forget_gradient()
        self.dense.forget_gradient()

    def _carry_gradient(self) -> None:
        with torch.no_grad():
            self.latent.carry_gradient()
            self.dense.carry_gradient()

    def _adam(self) -> Adam:
        config = self._config
        scale_rate = 0.0 if config.method == "twn" else config.scale_learning_rate
        return Adam(
            ([self.latent.v], config.learning_rate),
            ([self.latent.log_scale], scale_rate),
            (self.dense.trained, config.dense_learning_rate),
        )
