"""Before training: what is minimised, for how many steps, and by what it is validated.

`auto` takes classification for integer targets, regression for floating ones, distillation where there is no target.
The number of steps comes from the budget; without one it is 16 epochs, within bounds that let weights move at all and
let a large data set end.
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import torch
from torch import Tensor, nn

from api_schemas import Budget, CompressSpec
from sterna.compress.samples import TrainingData
from sterna.errors import DataMismatch, InvalidSpec, ModelDoesNotRun, OutOfMemory
from sterna.method import (
    Batch,
    Objective,
    Rows,
    Samples,
    TernariseConfig,
    Validation,
    classification,
    distillation,
    evaluate,
    least_values_per_channel,
    regression,
)
from sterna.method.evaluation import output_of, target_of
from sterna.method.gradient import BatchGradient, is_out_of_memory

DEFAULT_EPOCHS = 16
LEAST_STEPS, MOST_STEPS = 600, 20_000
SMALL_STEPS = 100
TIMED_STEPS = 5
MOST_TRIALS = 6
VALIDATIONS = 20
VALIDATION_SHARE = 0.03
LEAST_VALIDATED, MOST_VALIDATED = 128, 512

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
        OutOfMemory: memory does not suffice for it.
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


def plan_steps(
    module: nn.Module, data: TrainingData, objective: Objective, budget: Budget, *, timed: int | None = None
) -> Plan:
    """How many optimiser steps the budget allows. A budget in seconds is turned into steps by timing a few of them.

    Args:
        module: the network, unchanged.
        data: for batches.
        objective: what is minimised.
        budget: what may be used.
        timed: the plan's steps as an earlier attempt of the same job found them: nothing is timed again.
    """
    per_epoch = data.train.batches_per_epoch
    if budget.epochs is not None:
        steps = max(2, round(budget.epochs * per_epoch))
    else:
        steps = min(MOST_STEPS, max(LEAST_STEPS, DEFAULT_EPOCHS * per_epoch))
    if budget.seconds is not None:
        afforded = int(budget.seconds / _seconds_per_step(module, data, objective)) if timed is None else timed
        steps = max(2, min(steps, afforded))
    return Plan(objective, steps, small=steps < SMALL_STEPS)


def ternarise_config(spec: CompressSpec, steps: int) -> TernariseConfig:
    """What is asked for, in the method's own terms. With α fixed it is the paper's training: no estimator.

    Args:
        spec: what is asked for.
        steps: of the whole plan; trials share them.
    """
    strategy = spec.search.strategy
    given = spec.search.alpha
    one_trial = strategy == "trials" and given is not None
    trials = 0 if strategy != "trials" else 1 if one_trial else MOST_TRIALS
    return TernariseConfig(
        target_sparsity=spec.target_sparsity,
        steps=max(2, steps // max(1, trials)),
        granularity=spec.granularity,
        method=spec.method,
        alpha=None if one_trial else given,
        trials=trials,
        tolerance=spec.tolerance,
        first_alpha=given if one_trial else None,
        gradient="straight-through" if strategy == "track" else "exact",
    )


def plan_validation(
    held_out: Samples, objective: Objective, teacher: nn.Module | None, steps: int, *, seed: int
) -> Validation:
    """Some held-out samples, as many and as often as a small share of the training's time allows.

    Args:
        held_out: to choose from.
        objective: by what the network is measured.
        teacher: runs beside it in training, which makes a step longer.
        steps: of all trials together.
        seed: chooses the samples.
    """
    per_step = 3 if teacher is None else 1.5  # batches run forward in the time of a training step
    afforded = int(VALIDATION_SHARE * steps / VALIDATIONS * per_step) * held_out.batch_size
    count = min(MOST_VALIDATED, max(LEAST_VALIDATED, afforded))
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(held_out.size, generator=generator)[:count].sort().values
    cost = math.ceil(len(rows) / held_out.batch_size) / per_step
    return Validation(
        measure=lambda network: evaluate(network, held_out, objective, teacher, rows=rows),
        every=math.ceil(max(steps / VALIDATIONS, cost / VALIDATION_SHARE)),
    )


def _first_output(module: nn.Module, batch: Batch) -> Tensor:
    module.eval()
    try:
        with torch.no_grad():
            output = output_of(module, batch)
    except (RuntimeError, ValueError, IndexError, TypeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise OutOfMemory(
                f"the network needs more memory than there is for a batch of {len(batch.inputs[0])} samples",
                hint="Look in the network for a size that is far too large, or use a larger worker.",
            ) from error
        beyond = isinstance(error, IndexError)
        raise ModelDoesNotRun(
            f"the network fails on a batch of {len(batch.inputs[0])} samples: {str(error).splitlines()[0]}",
            hint="An array of the data holds an index that is beyond the rows of a table (its vocabulary), or below 0."
            if beyond
            else "Run the exported program on the same arrays; export it with a dynamic batch axis.",
        ) from error
    if not isinstance(output, Tensor) or not output.is_floating_point() or output.ndim == 0:
        raise ModelDoesNotRun(
            "the first output of the network is not a floating-point tensor with a sample axis",
            hint="Let forward return the logits or values first.",
        )
    if len(output) != len(batch.inputs[0]):
        raise ModelDoesNotRun(
            f"the network gives {len(output)} rows for {len(batch.inputs[0])} samples",
            hint="The first axis of the first output must be that of the samples.",
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

    def loss_of(part: Batch) -> Tensor:
        target = target_of(part, objective, module)
        return objective.loss(output_of(trial, part), target)

    gradient = BatchGradient(trial.zero_grad, divisible=data.train.divisible)
    marks = []
    for batch in islice(data.train.shuffled(torch.Generator().manual_seed(0)), TIMED_STEPS + 1):
        float(gradient.take(batch, loss_of))  # a GPU is waited for
        marks.append(time.perf_counter())
    return max(1e-6, (marks[-1] - marks[0]) / TIMED_STEPS)
