"""Full-precision copies of parameters that are stored in half precision, while they are trained.

A step of Adam is a thousandth of a parameter; float16 and bfloat16 keep three digits, so that most steps would be lost
in rounding, and Adam's own moments underflow. So what is trained is a float32 copy (a *master*: Micikevicius et al.,
*Mixed Precision Training*, 2018), and the network runs with that copy rounded to its own type.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from sterna.method.evaluation import LOW_PRECISION


class MasterCopies:
    """Masters of the low-precision ones among some parameters; the others are trained themselves.

    Args:
        parameters: by name.

    Attributes:
        copies: the masters.
        trained: what an optimiser moves: the other parameters, then the masters.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter]) -> None:
        self._originals = [p for p in parameters.values() if p.dtype in LOW_PRECISION]
        self.copies = [p.detach().float() for p in self._originals]
        for parameter in self._originals:
            parameter.requires_grad_()
        self._own = [p for p in parameters.values() if p.dtype not in LOW_PRECISION]
        self.trained: list[Tensor] = [*self._own, *self.copies]

    def install(self) -> None:
        """Round the masters into the parameters that they stand for."""
        for original, copy in zip(self._originals, self.copies, strict=True):
            original.copy_(copy)

    def forget_gradient(self) -> None:
        """Let the gradients of all that is trained be none."""
        for tensor in (*self.trained, *self._originals):
            tensor.grad = None

    def carry_gradient(self) -> None:
        """Add to the gradients of masters those of the parameters that they stand for, which are forgotten."""
        for original, copy in zip(self._originals, self.copies, strict=True):
            if original.grad is not None:
                gradient = original.grad.float()
                copy.grad = gradient if copy.grad is None else copy.grad + gradient
                original.grad = None
