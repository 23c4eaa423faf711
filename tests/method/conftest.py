"""A small problem that trains in a second: real 8×8 digits, a two-layer network with batch norm and dropout."""

from dataclasses import dataclass

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from sterna.method import Samples, TernaryLayer


@dataclass
class Problem:
    network: nn.Module
    layers: list[TernaryLayer]
    train: Samples
    held_out: Samples

    @property
    def weights(self) -> int:
        parameters = dict(self.network.named_parameters())
        return sum(parameters[layer.name].numel() for layer in self.layers)


@pytest.fixture(scope="session")
def trained_state():
    torch.manual_seed(0)
    network = _network()
    train, _ = _digits()
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    batches = train.shuffled(torch.Generator().manual_seed(0))
    for _ in range(400):
        batch = next(batches)
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(*batch.inputs), batch.target).backward()
        optimiser.step()
    return network.state_dict()


@pytest.fixture
def problem(trained_state):
    network = _network()
    network.load_state_dict(trained_state)
    train, held_out = _digits()
    return Problem(network, [TernaryLayer("0.weight"), TernaryLayer("4.weight")], train, held_out)


def _network():
    return nn.Sequential(nn.Linear(64, 96), nn.BatchNorm1d(96), nn.ReLU(), nn.Dropout(0.1), nn.Linear(96, 10))


def _digits():
    pixels, digit = load_digits(return_X_y=True)
    inputs, target = torch.tensor(pixels / 8 - 1, dtype=torch.float32), torch.tensor(digit)
    return (
        Samples([inputs[:1400]], target[:1400], batch_size=64),
        Samples([inputs[1400:]], target[1400:], batch_size=128),
    )
