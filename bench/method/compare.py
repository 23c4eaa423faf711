"""One run of the comparison: ternarise, pack, read back, measure."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import nn

from bench.method.train import budgeted_steps, load_samples, load_trained
from sterna.artifact.codec import CHUNK_WEIGHTS, decode, encode_smallest, worthwhile_codecs
from sterna.method import (
    Samples,
    Task,
    TernariseConfig,
    Ternarised,
    classification,
    evaluate,
    find_ternary_layers,
    ternarise,
)

METHODS: dict[str, dict[str, Any]] = {
    "sca": {},
    "ste": {"method": "ste"},
    "paper": {"gradient": "exact"},
    "rounding": {"method": "rounding"},
    "twn": {"method": "twn"},
    "ttq": {"method": "ttq"},
}
"""What is compared, as fields of `TernariseConfig`. `paper` is the lock on α with soft weights and no estimator."""

STEERED = ("sca", "ste", "paper", "rounding")
"""Those that are given a sparsity; with the others it comes out as it may."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run gave. Sparsity and accuracy are those of the packed codes, read back."""

    task: str
    method: str
    target: float | None
    seed: int
    sparsity: float
    accuracy: float
    alpha: float
    bits_per_weight: float
    steps: int
    seconds: float


def run(task: str, method: str, target: float | None, seed: int) -> Outcome:
    """Fine-tune the trained network of a task to a target in one thread, and measure what was packed."""
    torch.set_num_threads(1)
    network, train, held_out = _loaded(task)
    started = time.perf_counter()
    trained = copy.deepcopy(network)
    config = TernariseConfig(
        target_sparsity=0.5 if target is None else target,
        steps=budgeted_steps(task),
        **METHODS[method],
    )
    result = ternarise(trained, find_ternary_layers(trained), Task(train, classification(), seed=seed), config)
    seconds = time.perf_counter() - started
    weights, zeros, payload = install_packed(trained, result)
    return Outcome(
        task=task,
        method=method,
        target=target,
        seed=seed,
        sparsity=zeros / weights,
        accuracy=evaluate(trained, held_out, classification()),
        alpha=result.alpha,
        bits_per_weight=8 * payload / weights,
        steps=result.steps,
        seconds=seconds,
    )


def install_packed(network: nn.Module, result: Ternarised) -> tuple[int, int, int]:
    """Pack every tensor as the artifact does, decode it and put it into the network; give weights, zeros and bytes."""
    parameters = dict(network.named_parameters())
    weights = zeros = payload = 0
    codecs = worthwhile_codecs([codes.numel() for codes, _ in result.layers.values()])
    for name, (codes, scale) in result.layers.items():
        packed = encode_smallest(codes.numpy().reshape(-1), codecs=codecs)
        decoded = decode(packed, codes.numel(), CHUNK_WEIGHTS)
        weights += decoded.size
        zeros += int((decoded == 0).sum())
        payload += len(packed.payload)
        with torch.no_grad():
            parameters[name].copy_(torch.from_numpy(decoded).view(codes.shape) * scale)
    return weights, zeros, payload


@cache
def _loaded(task: str) -> tuple[nn.Module, Samples, Samples]:
    return load_trained(task), *load_samples(task)
