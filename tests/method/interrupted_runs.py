"""Runs that write their state on the way, and runs that go on from it: python interrupted_runs.py whole|resumed FOLDER.

`whole` makes every run of `RUNS` undisturbed and leaves its state at each of its `STEPS` in the folder; `resumed` goes
on from every file that it finds there. Both print what came out of each, as digests.
"""

import hashlib
import json
import sys
from pathlib import Path

import torch
from torch import nn

from sterna.method import Samples, Task, TernariseConfig, classification, distillation, find_ternary_layers, ternarise
from sterna.method.checkpoint import read_checkpoint, write_checkpoint

STEPS = (0, 1, 10, 37, 51, 68, 69, 79, 110, 150)
RUNS = {
    "mlp sca": {},
    "mlp layer": {"granularity": "layer"},
    "mlp ste": {"method": "ste"},
    "mlp twn": {"method": "twn"},
    "mlp ttq": {"method": "ttq"},
    "mlp fixed": {"alpha": 0.4, "gradient": "exact"},
    "mlp trials": {"trials": 3, "gradient": "exact", "tolerance": 0.0},
    "mlp bfloat16": {},
    "mlp distilled": {},
    "cnn sca": {},
    "cnn ste layer": {"method": "ste", "granularity": "layer"},
    "cnn trials": {"trials": 3, "gradient": "exact", "tolerance": 0.0},
}


class UnusedPart(nn.Module):
    """A network with a parameter that gets no gradient and a constant that is infinite, as masks are."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.unused = nn.Parameter(torch.ones(3))
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))

    def forward(self, x):
        return self.inner(x)


def network(name):
    torch.manual_seed(1)
    if name.startswith("cnn"):
        return UnusedPart(
            nn.Sequential(
                *(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout2d(0.2)),
                *(nn.Conv2d(6, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(128, 4)),
            )
        )
    mlp = nn.Sequential(
        nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2), nn.LayerNorm(32), nn.Linear(32, 4)
    )
    return mlp.bfloat16() if name.endswith("bfloat16") else mlp


def run(name, checkpoint=lambda _: None, resume=None):
    torch.manual_seed(0)
    inputs, target = torch.randn(300, 64), torch.randint(0, 4, (300,))
    own = network(name)
    inputs = inputs.view(300, 1, 8, 8) if name.startswith("cnn") else inputs.to(next(own.parameters()).dtype)
    teacher = network(name).eval() if name.endswith("distilled") else None
    samples = Samples([inputs], None if teacher else target, batch_size=32)
    task = Task(samples, distillation(logits=True) if teacher else classification(), teacher, seed=3)
    config = TernariseConfig(**({"target_sparsity": 0.7, "steps": 80} | RUNS[name]))
    result = ternarise(own, find_ternary_layers(own), task, config, checkpoint=checkpoint, resume=resume)
    digest = hashlib.sha256()
    for part, tensor in own.state_dict().items():
        digest.update(part.encode() + tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    for layer, (codes, scale) in result.layers.items():
        digest.update(layer.encode() + codes.numpy().tobytes() + scale.contiguous().numpy().tobytes())
    told = [result.alpha, result.steps, result.stopped, [[trial.alpha, trial.sparsity] for trial in result.trials]]
    return digest.hexdigest() + " " + json.dumps(told)


def whole(folder):
    def writes(name):
        def checkpoint(state):
            nonlocal step
            if step in STEPS:
                write_checkpoint(folder / f"{name}@{step}", state(), {"run": name})
            step += 1

        step = 0
        return checkpoint

    return {name: run(name, writes(name)) for name in RUNS}


def resumed(folder):
    results = {}
    for path in sorted(folder.iterdir()):
        found = read_checkpoint(path)
        results[path.name] = run(found.about["run"], resume=found.state)
    return results


if __name__ == "__main__":
    print(json.dumps({"whole": whole, "resumed": resumed}[sys.argv[1]](Path(sys.argv[2]))))
