"""What is worth a warning in the weights, before they are made ternary and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from torch import nn

from api_schemas import CompressSpec
from sterna.method import Ternarised, TernaryLayer

Finding: TypeAlias = tuple[str, str]
"""The code of a warning, and what was found in words."""


def look_at_weights(module: nn.Module, layers: Sequence[TernaryLayer]) -> Iterator[Finding]:
    """Say which layers have no weight but zeros."""
    parameters = dict(module.named_parameters())
    empty = [layer.name for layer in layers if not bool(parameters[layer.name].any())]
    if empty:
        yield "ZERO_WEIGHTS", f"all weights are zero in the model as it came: {', '.join(empty)}"


def look_at_codes(landed: Ternarised, spec: CompressSpec) -> Iterator[Finding]:
    """Say where a layer has lost everything, or is not where each was to be."""
    shares = {name: float((codes == 0).float().mean()) for name, (codes, _) in landed.layers.items()}
    dead = [name for name, share in shares.items() if share == 1.0]
    if dead:
        yield "DEAD_LAYER", f"no weight is left in {', '.join(dead)}: exclude it, or ask for fewer zeros"
    if spec.granularity == "layer" and spec.search.strategy != "fixed":
        target, tolerance = spec.target_sparsity, spec.tolerance
        off = {name: share for name, share in shares.items() if abs(share - target) > tolerance}
        if off:
            named = ", ".join(f"{name} ({share:.6f})" for name, share in off.items())
            yield "LAYER_OFF_TARGET", f"too few weights to be within {tolerance} of {target}: {named}"
