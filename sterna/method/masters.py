"""Full-precision copies of parameters that are stored in half precision, while they are trained.

A step of Adam is a thousandth of a parameter; float16 and bfloat16 keep three digits, so that most steps would be lost
in rounding, and Adam's own moments underflow. So what is trained is a float32 copy (a *master*: Micikevicius et al.,
*Mixed Precision Training*, 2018), and the network runs with that copy rounded to its own type.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sterna.method.evaluation import LOW_PRECISION


class MasterCopies(nn.Module):
    """Masters of the low-precision ones among some parameters.

    Args:
        parameters: by name; those of low precision stop asking for gradients, the others are left alone.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter]) -> None:
        super().__init__()
        self._originals = {name: p for name, p in parameters.items() if p.dtype in LOW_PRECISION}
        self.copies = nn.ParameterList(nn.Parameter(p.detach().float()) for p in self._originals.values())
        for parameter in self._originals.values():
            parameter.requires_grad_(False)
        self.trained: list[nn.Parameter] = [
            *(p for name, p in parameters.items() if name not in self._originals),
            *self.copies,
        ]

    def rounded(self) -> dict[str, Tensor]:
        """What the network runs with, by name, differentiable in the masters."""
        return {
            name: copy.to(original.dtype)
            for (name, original), copy in zip(self._originals.items(), self.copies, strict=True)
        }

    def install(self) -> None:
        """Round the masters into the parameters that they stand for."""
        with torch.no_grad():
            for original, copy in zip(self._originals.values(), self.copies, strict=True):
                original.copy_(copy)
