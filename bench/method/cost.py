"""What ternarising costs beside a plain fine-tuning of the same network: time per step and memory.

    python -m bench.method.cost TASK plain|sca STEPS

prints seconds and the greatest resident memory in bytes, as one JSON object, from a process of its own.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from itertools import islice
from statistics import median

import torch
from torch import nn
from torch.nn import functional

from bench.method.train import load_samples, load_trained
from sterna.method import Samples, Task, TernariseConfig, classification, find_ternary_layers, ternarise

_KIB = 1024


@dataclass(frozen=True, slots=True)
class Cost:
    """One process.

    Attributes:
        seconds: of the processor for all steps, with landing, recovery and the renewal of statistics where there are
            any. There is one thread, so on a machine with nothing else to do it is the time that passes.
        peak_bytes: greatest resident memory.
    """

    seconds: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class CostRatio:
    """Ternarising beside plain fine-tuning: medians of pairs that ran one after the other.

    Attributes:
        time: ratio of the times.
        memory: ratio of the peaks.
        more_bytes: difference of the peaks.
    """

    task: str
    steps: int
    plain_ms_per_step: float
    sca_ms_per_step: float
    time: float
    memory: float
    more_bytes: float


def compare_cost(task: str, steps: int, pairs: int) -> CostRatio:
    """Run both, in turn, each in a process of its own and in one thread."""
    plain, sca = zip(
        *((_in_process(task, "plain", steps), _in_process(task, "sca", steps)) for _ in range(pairs)), strict=True
    )
    return CostRatio(
        task=task,
        steps=steps,
        plain_ms_per_step=1e3 * median(cost.seconds for cost in plain) / steps,
        sca_ms_per_step=1e3 * median(cost.seconds for cost in sca) / steps,
        time=median(b.seconds / a.seconds for a, b in zip(plain, sca, strict=True)),
        memory=median(b.peak_bytes / a.peak_bytes for a, b in zip(plain, sca, strict=True)),
        more_bytes=median(b.peak_bytes - a.peak_bytes for a, b in zip(plain, sca, strict=True)),
    )


def measure(task: str, what: str, steps: int) -> Cost:
    """Do it here."""
    torch.set_num_threads(1)
    network, (samples, _) = load_trained(task), load_samples(task)
    _plain(load_trained(task), samples, 3)  # What torch loads at the first step is no part of the time.
    started = time.process_time()
    if what == "plain":
        _plain(network, samples, steps)
    else:
        config = TernariseConfig(target_sparsity=0.9, steps=steps)
        ternarise(network, find_ternary_layers(network), Task(samples, classification()), config)
    return Cost(time.process_time() - started, _peak_bytes())


def _plain(network: nn.Module, samples: Samples, steps: int) -> None:
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    network.train()
    for batch in islice(samples.shuffled(torch.Generator().manual_seed(0)), steps):
        assert batch.target is not None
        loss = functional.cross_entropy(network(*batch.inputs), batch.target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def _in_process(task: str, what: str, steps: int) -> Cost:
    command = (sys.executable, "-m", "bench.method.cost", task, what, str(steps))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    answer = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return Cost(**json.loads(answer.stdout))


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB


if __name__ == "__main__":
    print(json.dumps(asdict(measure(sys.argv[1], sys.argv[2], int(sys.argv[3])))))
