"""Pooling and resizing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sterna.export.onnx_graph.builder import Builder
from sterna.export.onnx_graph.convolutions import batched, per_axis
from sterna.export.onnx_graph.values import Rule, Value

Arguments = Mapping[str, Any]


def _max_pool(axes: int) -> Rule:
    def write(b: Builder, a: Arguments) -> Value:
        kernel = per_axis(a["kernel_size"], axes, 1)
        attributes = _window(a, kernel) | {"dilations": per_axis(a.get("dilation"), axes, 1)}
        return batched(b, a["self"], axes, lambda x: b.op("MaxPool", x, **attributes))

    return write


def _places_left_out(rule: Rule) -> Rule:
    """Write the greatest values; where they were, which the network's operator gives too, is not written."""

    def write(b: Builder, a: Arguments) -> tuple[Value, None]:
        made = rule(b, a)
        assert isinstance(made, Value)
        return made, None

    return write


def _average_pool(axes: int) -> Rule:
    def write(b: Builder, a: Arguments) -> Value:
        if a.get("divisor_override") is not None:
            raise b.refuse("with another divisor than the size of the window")
        attributes = _window(a, per_axis(a["kernel_size"], axes, 1))
        attributes["count_include_pad"] = int(a.get("count_include_pad", True))
        if attributes["ceil_mode"] and any(attributes["pads"]) and attributes["count_include_pad"]:
            raise b.refuse("with ceil_mode and padding that counts: ONNX divides by another number")
        return batched(b, a["self"], axes, lambda x: b.op("AveragePool", x, **attributes))

    return write


def _window(a: Arguments, kernel: list[int]) -> dict[str, Any]:
    strides = per_axis(a.get("stride"), len(kernel), 0)
    return {
        "kernel_shape": kernel,
        "strides": kernel if not any(strides) else strides,
        "pads": per_axis(a.get("padding"), len(kernel), 0) * 2,
        "ceil_mode": int(a.get("ceil_mode", False)),
    }


def _adaptive_average(axes: int) -> Rule:
    """Write pooling to a size: whole windows where it divides, else a product with the matrix of shares."""

    def write(b: Builder, a: Arguments) -> Value:
        wanted = _wanted(a, axes)
        return batched(b, a["self"], axes, lambda x: _average_to(b, x, wanted))

    return write


def _average_to(b: Builder, x: Value, wanted: list[int | None]) -> Value:
    if all(size == 1 for size in wanted):
        return b.op("GlobalAveragePool", x)
    for index, size in enumerate(wanted):
        axis = 2 + index
        if size is None or x.shape[axis] == size:
            continue
        shares = b.cast(b.const(_shares(b.known_size(x, axis), size)), x.dtype)  # [in, out]
        if axis == x.rank - 1:
            x = b.op("MatMul", x, shares)
        else:
            order = [*(other for other in range(x.rank) if other != axis), axis]
            moved = b.op("MatMul", b.op("Transpose", x, perm=order), shares)
            x = b.op("Transpose", moved, perm=[order.index(one) for one in range(x.rank)])
    return x


def _shares(size_in: int, size_out: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """How much of each input an output takes: 1/n of the n inputs from ⌊i·in/out⌋ to ⌈(i+1)·in/out⌉, [in, out]."""
    shares = np.zeros((size_in, size_out), np.float32)
    for index in range(size_out):
        begin, end = index * size_in // size_out, -(-(index + 1) * size_in // size_out)
        shares[begin:end, index] = 1 / (end - begin)
    return shares


def _adaptive_max(axes: int) -> Rule:
    """Write the greatest of each window; where it was, which the network's operator gives too, is not written."""

    def write(b: Builder, a: Arguments) -> tuple[Value, None]:
        wanted = _wanted(a, axes)

        def pooled(x: Value) -> Value:
            if all(size == 1 for size in wanted):
                return b.op("GlobalMaxPool", x)
            sizes = [b.known_size(x, 2 + index) for index in range(axes)]
            if any(size is not None and whole % size for whole, size in zip(sizes, wanted, strict=True)):
                raise b.refuse(f"from {sizes} to {wanted}: windows of unequal size")
            kernel = [1 if size is None else whole // size for whole, size in zip(sizes, wanted, strict=True)]
            return b.op("MaxPool", x, kernel_shape=kernel, strides=kernel)

        return batched(b, a["self"], axes, pooled), None

    return write


def _wanted(a: Arguments, axes: int) -> list[int | None]:
    given = a["output_size"]
    sizes = [given] if isinstance(given, int) else list(given)
    return sizes * axes if len(sizes) == 1 else sizes


def _resize(mode: str, coordinates: str) -> Rule:
    """Write a resize to `output_size`, or by `scale_factors`."""

    def write(b: Builder, a: Arguments) -> Value:
        x: Value = a["input"]
        aligned = a.get("align_corners")
        how = "align_corners" if aligned else coordinates
        attributes = {"mode": mode, "coordinate_transformation_mode": how}
        if mode == "nearest":
            attributes["nearest_mode"] = "floor"
        if a.get("scale_factors") is not None:
            factors = [1.0, 1.0, *map(float, a["scale_factors"])]
            known = [size is not None for size in x.shape]
            shape = tuple(
                int(size * factor) if known[index] and size is not None else None
                for index, (size, factor) in enumerate(zip(x.shape, factors, strict=True))
            )
            scales = b.const(np.array(factors, np.float32))
            return b.op("Resize", x, None, scales, dtype=x.dtype, shape=shape, **attributes)
        sizes = list(a["output_size"])
        target = b.vector([b.size(x, 0), b.size(x, 1), *sizes])
        shape = (*x.shape[:2], *(size if isinstance(size, int) else None for size in sizes))
        return b.op("Resize", x, None, None, target, dtype=x.dtype, shape=shape, **attributes)

    return write


def _pixel_shuffle(b: Builder, a: Arguments) -> Value:
    return batched(b, a["self"], 2, lambda x: b.op("DepthToSpace", x, blocksize=a["upscale_factor"], mode="CRD"))


POOLING: Mapping[str, Rule] = {
    **{f"aten.max_pool{axes}d.default": _max_pool(axes) for axes in (1, 2, 3)},
    **{f"aten.avg_pool{axes}d.default": _average_pool(axes) for axes in (1, 2, 3)},
    **{f"aten.adaptive_avg_pool{axes}d.default": _adaptive_average(axes) for axes in (1, 2, 3)},
    **{f"aten.adaptive_max_pool{axes}d.default": _adaptive_max(axes) for axes in (1, 2, 3)},
    **{f"aten.max_pool{axes}d_with_indices.default": _places_left_out(_max_pool(axes)) for axes in (1, 2, 3)},
    "aten.upsample_nearest3d.vec": _resize("nearest", "asymmetric"),
    "aten.upsample_linear1d.vec": _resize("linear", "half_pixel"),
    "aten.upsample_trilinear3d.vec": _resize("linear", "half_pixel"),
    "aten.upsample_nearest1d.vec": _resize("nearest", "asymmetric"),
    "aten.upsample_nearest2d.vec": _resize("nearest", "asymmetric"),
    "aten.upsample_bilinear2d.vec": _resize("linear", "half_pixel"),
    "aten.pixel_shuffle.default": _pixel_shuffle,
}
