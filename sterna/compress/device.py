"""Where a job computes: on the GPU that its process can see, or on the processor.

A runner sees the GPU of its slot and no other, or none (`CUDA_VISIBLE_DEVICES`), so there is nothing to choose among.
"""

from __future__ import annotations

import torch


def choose_device() -> torch.device:
    """The first GPU of this process that torch can use, else the CPU.

    On a GPU TensorFloat-32, which keeps ten bits of a product, is turned off: what is measured is measured in float32.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    return torch.device("cuda")
