"""The bench networks with their data, trained in full precision: where every comparison starts.

    python -m bench.method.train [digits-8x8] [digits-28x28] [fashion] [crop]

| task | network | data |
|---|---|---|
| digits-8x8 | MLP of examples/, 25,856 weights | 8×8 digits, 359 held out |
| digits-28x28 | CNN of examples/, 207,504 weights | 28×28 digits, 1,000 held out |
| fashion | residual network with batch norm, 77,072 weights | Fashion-MNIST, 10,000 held out |
| crop | transformer of two layers, 67,136 weights | Crop series, 16,800 held out |
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from bench.method.datasets import FOLDER, LOADERS
from bench.method.networks import ResidualNetwork, SeriesTransformer
from examples.digits import train
from examples.networks import DigitsCNN, DigitsMLP
from sterna.method import Samples

BATCH_SIZE = 64


@dataclass(frozen=True, slots=True)
class BenchTask:
    """A network, and how long it is trained.

    Attributes:
        make: builds the network.
        epochs: of the training in full precision.
        budget_epochs: of every fine-tuning that is compared.
    """

    make: Callable[[], nn.Module]
    epochs: int
    budget_epochs: int


TASKS = {
    "digits-8x8": BenchTask(DigitsMLP, 60, 16),
    "digits-28x28": BenchTask(DigitsCNN, 12, 10),
    "fashion": BenchTask(ResidualNetwork, 8, 1),
    "crop": BenchTask(SeriesTransformer, 40, 5),
}


def load_samples(name: str) -> tuple[Samples, Samples]:
    """Training and held-out samples of a task."""
    inputs, target, eval_inputs, eval_target = (torch.from_numpy(array) for array in LOADERS[name]().values())
    return Samples([inputs], target, batch_size=BATCH_SIZE), Samples([eval_inputs], eval_target, batch_size=1000)


def budgeted_steps(name: str) -> int:
    """Steps of every fine-tuning of a task that is compared."""
    return TASKS[name].budget_epochs * load_samples(name)[0].batches_per_epoch


def load_trained(name: str) -> nn.Module:
    """The network of a task, trained; from `bench/.data` where an earlier run has left it."""
    path = FOLDER / f"{name}.safetensors"
    if not path.exists():
        torch.manual_seed(0)
        network = TASKS[name].make()
        train(network, LOADERS[name](), epochs=TASKS[name].epochs)
        FOLDER.mkdir(exist_ok=True)
        save_file(network.state_dict(), path)
    network = TASKS[name].make()
    network.load_state_dict(load_file(path))
    return network.eval()


if __name__ == "__main__":
    for chosen in sys.argv[1:] or TASKS:
        load_trained(chosen)
