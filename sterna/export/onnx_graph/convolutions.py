"""Convolutions and embeddings: their weights are dense constants, because no runtime has a two-bit kernel for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sterna.export.onnx_graph.builder import Builder
from sterna.export.onnx_graph.values import Rule, Value

Arguments = Mapping[str, Any]


def per_axis(given: int | Sequence[int] | None, axes: int, default: int) -> list[int]:
    """One number for each spatial axis: given for all, for each, or not at all."""
    if given is None or (not isinstance(given, int) and len(given) == 0):
        return [default] * axes
    numbers = [given] if isinstance(given, int) else list(given)
    return numbers * axes if len(numbers) == 1 else numbers


def convolution(b: Builder, a: Arguments) -> Value:
    """Write a convolution of one, two or three axes."""
    weight: Value = a["weight"]
    axes = weight.rank - 2
    dilations = per_axis(a.get("dilation"), axes, 1)
    kernel = [b.known_size(weight, axis + 2) for axis in range(axes)]
    attributes = {
        "strides": per_axis(a.get("stride"), axes, 1),
        "dilations": dilations,
        "pads": _pads(a.get("padding"), kernel, dilations),
        "group": a.get("groups", 1),
        "kernel_shape": kernel,
    }
    return batched(b, a["input"], axes, lambda x: b.op("Conv", x, weight, a.get("bias"), **attributes))


def _transposed(b: Builder, a: Arguments) -> Value:
    weight: Value = a["weight"]
    axes = weight.rank - 2
    padding = per_axis(a.get("padding"), axes, 0)
    attributes = {
        "strides": per_axis(a.get("stride"), axes, 1),
        "dilations": per_axis(a.get("dilation"), axes, 1),
        "pads": padding * 2,
        "output_padding": per_axis(a.get("output_padding"), axes, 0),
        "group": a.get("groups", 1),
        "kernel_shape": [b.known_size(weight, axis + 2) for axis in range(axes)],
    }
    return batched(b, a["input"], axes, lambda x: b.op("ConvTranspose", x, weight, a.get("bias"), **attributes))


def batched(b: Builder, x: Value, axes: int, write: Any) -> Value:  # noqa: ANN401  Value → Value
    """Write something that needs (batch, channels, …); torch takes one sample without batch axis, too."""
    if x.rank == axes + 2:
        made: Value = write(x)
        return made
    return b.op("Squeeze", write(b.op("Unsqueeze", x, b.ints([0]))), b.ints([0]))


def _pads(given: int | Sequence[int] | str | None, kernel: Sequence[int], dilations: Sequence[int]) -> list[int]:
    """Padding at the beginning of each axis, then at the end of each."""
    if given == "valid":
        return [0] * (2 * len(kernel))
    if given == "same":
        whole = [dilation * (size - 1) for size, dilation in zip(kernel, dilations, strict=True)]
        begin = [size // 2 for size in whole]
        return begin + [size - first for size, first in zip(whole, begin, strict=True)]
    assert not isinstance(given, str)
    return per_axis(given, len(kernel), 0) * 2


def _embedding(b: Builder, a: Arguments) -> Value:
    return b.op("Gather", a["weight"], a["indices"], axis=0)


CONVOLUTIONS: Mapping[str, Rule] = {
    **{f"aten.conv{axes}d.{form}": convolution for axes in (1, 2, 3) for form in ("default", "padding")},
    "aten.conv_transpose1d.default": _transposed,
    "aten.conv_transpose2d.input": _transposed,
    "aten.conv_transpose3d.input": _transposed,
    "aten.embedding.default": _embedding,
}
