"""Before training: what is minimised, and for how many steps.

`auto` takes classification for integer targets, regression for floating ones, distillation where there is no target.
The number of steps comes from the budget; without one it is 16 epochs, within bounds that let weights move at all and
let a large data set end.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import torch
from torch import Tensor, nn

from api_schemas import Budget
from sterna.compress.samples import TrainingData
from sterna.errors import DataMismatch, InvalidSpec, ModelDoesNotRun
from sterna.method import (
    Batch,
    Objective,
    Rows,
    classification,
    distillation,
    least_values_per_channel,
    regression,
)
from sterna.method.evaluation import output_of, target_of

DEFAULT_EPOCHS = 16
LEAST_STEPS, MOST_STEPS = 600, 20_000
SMALL_STEPS = 100
TIMED_STEPS = 5

ObjectiveName = Literal["auto", "classification", "regression", "distillation"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What the training will be.

    Attributes:
        small: the budget is so small that weights may not move far enough.
    """

    objective: Objective
    steps: int
    small: bool


def choose_objective(module: nn.Module, data: TrainingData, name: ObjectiveName) -> Objective:
    """Run the network on a first batch and choose what it is trained for.

    Raises:
        ModelDoesNotRun: it fails, or gives nothing to train on.
        DataMismatch: the target does not fit the output.
        InvalidSpec: the objective needs a target and there is none.
    """
    output = _first_output(module, next(data.held_out.in_order()))
    target = data.train.target
    if name == "auto":
        name = (
            "distillation" if target is None else "regression" if target.dtype.is_floating_point else "classification"
        )
    if name == "distillation":
        return distillation(logits=output.ndim == 2 and output.shape[1] > 1)
    if target is None:
        raise InvalidSpec(
            f"the objective {name!r} needs a target and the data has none",
            hint="Add an array named target to the data, or use the objective 'distillation'.",
        )
    for part in (data.train, data.held_out):
        if part.target is None:
            raise DataMismatch("the data has target but not eval_target", hint="Give both, or neither.")
        check = _check_classes if name == "classification" else _check_values
        check(part.target, output)
    return classification() if name == "classification" else regression()


def check_statistics(module: nn.Module, data: TrainingData) -> None:
    """Refuse training batches from which a normalisation cannot take statistics.

    Raises:
        ModelDoesNotRun: a channel has one value only, which in training becomes zero whatever it was.
    """
    batch = next(data.train.in_order())
    if least_values_per_channel(module, batch.inputs) == 1:
        raise ModelDoesNotRun(
            f"batch normalisation over one value: training batches have {len(batch.inputs[0])} sample",
            hint="Export the network with a dynamic batch axis or a fixed one of 16 or more, and give as many samples.",
        )


def plan_steps(module: nn.Module, data: TrainingData, objective: Objective, budget: Budget) -> Plan:
    """How many optimiser steps the budget allows. A budget in seconds is turned into steps by timing a few of them."""
    per_epoch = data.train.batches_per_epoch
    if budget.epochs is not None:
        steps = max(2, round(budget.epochs * per_epoch))
    else:
        steps = min(MOST_STEPS, max(LEAST_STEPS, DEFAULT_EPOCHS * per_epoch))
    if budget.seconds is not None:
        steps = max(2, min(steps, int(budget.seconds / _seconds_per_step(module, data, objective))))
    return Plan(objective, steps, small=steps < SMALL_STEPS)


def _first_output(module: nn.Module, batch: Batch) -> Tensor:
    module.eval()
    try:
        with torch.no_grad():
            output = output_of(module, batch)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise ModelDoesNotRun(
            f"the network fails on a batch of {len(batch.inputs[0])} samples: {str(error).splitlines()[0]}",
            hint="Run the exported program on the same arrays; export it with a dynamic batch axis.",
        ) from error
    if not isinstance(output, Tensor) or not output.is_floating_point() or output.ndim == 0:
        raise ModelDoesNotRun(
            "the first output of the network is not a floating-point tensor with a sample axis",
            hint="Let forward return the logits or values first.",
        )
    if not bool(torch.isfinite(output).all()):
        raise ModelDoesNotRun(
            "the original network gives NaN or infinity on the first batch of the data",
            hint="Check that the data is scaled as it was when the network was trained.",
        )
    return output


def _check_classes(target: Rows, output: Tensor) -> None:
    if target.dtype.is_floating_point or len(target.shape) != 1 or output.ndim != 2:
        raise DataMismatch(
            f"classification needs integer class indices (samples,) and logits (batch, classes); found a target"
            f" {_described(target)} and an output of shape {tuple(output.shape)}",
            hint="Use the objective 'regression' or 'distillation', or give class indices.",
        )
    indices = target[torch.arange(len(target))]
    least, most = int(indices.min()), int(indices.max())
    if least < 0 or most >= output.shape[1]:
        raise DataMismatch(
            f"class indices run from {least} to {most}; the network has the classes 0 to {output.shape[1] - 1}",
            hint="Number the classes from 0 in the order of the network's logits.",
        )


def _check_values(target: Rows, output: Tensor) -> None:
    if not target.dtype.is_floating_point or target.shape[1:] != output.shape[1:]:
        raise DataMismatch(
            f"regression needs a floating-point target shaped {tuple(output.shape[1:])} for each sample, like the"
            f" output; found {_described(target)}",
            hint="Reshape the target, or use the objective 'classification' for class indices.",
        )


def _described(target: Rows) -> str:
    return f"{str(target.dtype).removeprefix('torch.')} of shape {tuple(target.shape)}"


def _seconds_per_step(module: nn.Module, data: TrainingData, objective: Objective) -> float:
    """Wall time of a training step of the network, measured on a copy of it; the first step warms up."""
    trial = copy.deepcopy(module).train()
    marks = []
    for batch in islice(data.train.shuffled(torch.Generator().manual_seed(0)), TIMED_STEPS + 1):
        target = target_of(batch, objective, module)
        objective.loss(output_of(trial, batch), target).backward()
        trial.zero_grad()
        marks.append(time.perf_counter())
    return max(1e-6, (marks[-1] - marks[0]) / TIMED_STEPS)
