import subprocess
import sys

import pytest
import torch

from sterna.compress import warm_up

FIRST_STEPS = """
import sys
import torch
from torch import nn
from sterna.compress import warm_up
from sterna.method import Samples, Task, TernariseConfig, TernaryLayer, classification, ternarise
if sys.argv[1] == "warm":
    warm_up()
before = set(sys.modules)
x, y = torch.randn(32, 8), torch.randint(0, 4, (32,))
network = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4))
task = Task(Samples([x], y, batch_size=8), classification())
ternarise(network, [TernaryLayer("0.weight")], task, TernariseConfig(0.5, steps=4))
print(len(set(sys.modules) - before), torch.cuda.is_initialized())
"""


def loaded(how):
    command = [sys.executable, "-c", FIRST_STEPS, how]
    modules, cuda = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert cuda == "False"
    return int(modules)


@pytest.mark.parametrize("how", ["warm", "cold"])
def test_a_first_training_loads_nothing_more(how):
    """torch.optim's classes load its compiler at the first step, 814 modules and a second; nothing here needs them."""
    assert loaded(how) == 0


def test_the_generator_is_as_before():
    before = torch.get_rng_state()
    warm_up()
    assert torch.equal(torch.get_rng_state(), before)
