"""In what precision training steps compute: float32, or bfloat16 where a GPU is built for it.

Only the network's forward and backward pass of a training step is meant (torch's autocast): latent weights, scales,
optimiser and losses are float32, and so are evaluation, thresholds, landing and all that is counted or packed.
bfloat16 has the range of float32, so losses need no scaling (Kalamkar et al., *A Study of BFLOAT16 for Deep Learning
Training*, 2019).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import nn

from sterna.method.batches import Batch
from sterna.method.evaluation import output_of
from sterna.method.gradient import is_out_of_memory

Precision = Literal["auto", "float32", "bf16"]


def choose_precision(wanted: Precision, network: nn.Module, batch: Batch) -> Literal["float32", "bf16"]:
    """What the steps of a training compute in. `auto` is bf16 on a GPU that has it, for a network that runs so.

    Args:
        wanted: what the configuration says.
        network: left in evaluation mode; nothing of it changes.
        batch: of the training, on the network's device.
    """
    if wanted != "auto":
        return wanted
    return "bf16" if _has_bf16(batch.inputs[0].device) and runs_in_bf16(network, batch) else "float32"


def cast(precision: Literal["float32", "bf16"], device: torch.device) -> AbstractContextManager[object]:
    """Within this context a network computes in that precision."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def runs_in_bf16(network: nn.Module, batch: Batch) -> bool:
    """Whether a network of float32 parameters runs under autocast and gives numbers: some mix types by themselves."""
    if any(p.is_floating_point() and p.dtype != torch.float32 for p in network.parameters()):
        return False
    network.eval()
    try:
        with torch.no_grad(), cast("bf16", batch.inputs[0].device):
            output = output_of(network, batch)
    except (RuntimeError, ValueError, TypeError) as error:
        if is_out_of_memory(error):
            raise
        return False
    return bool(torch.isfinite(output).all())


def _has_bf16(device: torch.device) -> bool:
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
