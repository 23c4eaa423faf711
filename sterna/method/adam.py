"""Adam with a step size for each group of tensors, torch's own computation without what surrounds it.

Kingma and Ba, *Adam: A Method for Stochastic Optimization*, 2015, algorithm 1. `torch.optim.Adam` finds out at each
step which tensors there are and of what type; for three groups in a small network that takes longer than moving them.
Here they are known. Bits and state are those of `torch.optim.Adam(fused=True)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor
from torch.optim.adam import adam

MOMENTS: Final = ("step", "exp_avg", "exp_avg_sq")
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8


class Adam:
    """Moves tensors against their gradients (`grad`), in place; those without one stay where they are.

    Args:
        groups: tensors, each group with its step size.

    Attributes:
        parameters: all of them, in order.
        state: of each that has been moved: `MOMENTS`, by name.
    """

    def __init__(self, *groups: tuple[Sequence[Tensor], float]) -> None:
        self._groups = groups
        self.parameters = [parameter for parameters, _ in groups for parameter in parameters]
        self.state: dict[Tensor, dict[str, Tensor]] = {}

    def step(self, rate: float) -> None:
        """Move every tensor once, with step sizes that are multiplied by `rate`."""
        with torch.no_grad():
            for parameters, size in self._groups:
                moved = [parameter for parameter in parameters if parameter.grad is not None]
                states = [self.state.get(parameter) or self._begin(parameter) for parameter in moved]
                adam(
                    moved,
                    [parameter.grad for parameter in moved if parameter.grad is not None],
                    [state["exp_avg"] for state in states],
                    [state["exp_avg_sq"] for state in states],
                    [],
                    [state["step"] for state in states],
                    fused=True,
                    amsgrad=False,
                    beta1=_BETA_1,
                    beta2=_BETA_2,
                    lr=size * rate,
                    weight_decay=0.0,
                    eps=_EPSILON,
                    maximize=False,
                )

    def _begin(self, parameter: Tensor) -> dict[str, Tensor]:
        zeros = (torch.zeros((), device=parameter.device), torch.zeros_like(parameter), torch.zeros_like(parameter))
        self.state[parameter] = dict(zip(MOMENTS, zeros, strict=True))
        return self.state[parameter]
