"""What the batch normalisations of a network are given while it runs, whatever the network is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_NORMALISATIONS: dict[object, Sequence[str]] = {
    functional.batch_norm: ("input", "running_mean", "running_var"),
    torch.batch_norm: ("input", "weight", "bias", "running_mean", "running_var"),
    torch.ops.aten.batch_norm.default: ("input", "weight", "bias", "running_mean", "running_var"),
}
"""The ways in which a batch normalisation is called, and their first arguments."""


@dataclass(frozen=True, slots=True)
class Normalisation:
    """One call.

    Attributes:
        x: what is normalised, (batch, channels, …).
        mean, variance: what it remembers of each channel, (channels,); None where it remembers nothing.
    """

    x: Tensor
    mean: Tensor | None
    variance: Tensor | None


class Listening(TorchFunctionMode):
    """Within this context every batch normalisation that runs is written down in `heard`."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Normalisation] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401  whatever the function gives
        if func in _NORMALISATIONS:
            given = dict(zip(_NORMALISATIONS[func], args, strict=False)) | (kwargs or {})
            self.heard.append(Normalisation(given["input"], given["running_mean"], given["running_var"]))
        return func(*args, **(kwargs or {}))


def least_values_per_channel(network: nn.Module, inputs: Sequence[Tensor]) -> int | None:
    """How many values the statistics of a channel are taken from, where that is least; None without normalisation.

    From a single value there are none: in training it becomes zero, whatever it was.

    Args:
        network: left in evaluation mode.
        inputs: a training batch, one tensor for each input.
    """
    network.eval()
    with torch.no_grad(), Listening() as listening:
        network(*inputs)
    return min((call.x.numel() // call.x.shape[1] for call in listening.heard), default=None)
