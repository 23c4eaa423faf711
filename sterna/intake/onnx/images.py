"""ONNX operators on images: resizing, looking up points between pixels, blocks of pixels as channels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from math import prod
from typing import Final

from sterna.graph import Argument
from sterna.intake.onnx.call import Call, Converter
from sterna.intake.onnx.values import Shape, Size, Value


def _resize(call: Call) -> Value:
    """Read is what gives the same elements in torch: the nearest ones, and linear or cubic interpolation."""
    value = call.input(0)
    rank = call.rank(value)
    scales, sizes = _resize_arguments(call)
    placed = call.attributes.text("coordinate_transformation_mode", "half_pixel" if call.opset > 10 else "asymmetric")
    mode = call.attributes.text("mode", "nearest")
    call.attributes.ignore("extrapolation_value", "exclude_outside", "keep_aspect_ratio_policy", "cubic_coeff_a")
    if call.attributes.has("axes") or call.attributes.integer("antialias", 0) or not 3 <= rank <= 5:
        raise call.refuse("it resizes other axes than those of an image, or antialiases")
    arguments: dict[str, Argument] = {"output_size": None, "scale_factors": None}
    if sizes is not None:
        arguments["output_size"] = sizes[2:]
        times = tuple(_times(before, after) for before, after in zip((value.shape or ())[2:], sizes[2:], strict=False))
    else:
        arguments["scale_factors"] = times = (scales or ())[2:]
    leading = scales[:2] == (1.0, 1.0) if scales else _same(call, value, sizes)
    if not leading or len(times) != rank - 2:
        raise call.refuse("it resizes samples or channels")
    operator = _interpolation(call, mode, placed, times)
    if mode != "nearest":
        arguments["align_corners"] = placed == "align_corners"
    shape = _resized(value.shape, times, sizes)
    tensor = call.graph.tensor(value)
    return call.graph.emit(operator, value.dtype, shape, input=tensor, **arguments)


def _resize_arguments(call: Call) -> tuple[tuple[float, ...] | None, tuple[Argument, ...] | None]:
    if call.operator == "Upsample":
        return (call.attributes.numbers("scales") if call.opset < 9 else call.numbers(1)), None
    if call.opset < 11:
        return call.numbers(1), None
    sizes = call.sizes(3)
    return (None if sizes else call.numbers(2)), sizes or None


def _times(before: int | None, after: Argument) -> float:
    """By how much an axis grows; 0 where that is not known."""
    return after / before if before and isinstance(after, int) else 0.0


def _same(call: Call, value: Value, sizes: tuple[Argument, ...] | None) -> bool:
    return sizes is not None and all(call.graph.size(value, axis) == sizes[axis] for axis in range(min(2, len(sizes))))


def _interpolation(call: Call, mode: str, placed: str, times: tuple[float, ...]) -> str:
    axes = len(times)
    if mode == "nearest":
        rounding = call.attributes.text("nearest_mode", "round_prefer_floor" if call.opset > 10 else "floor")
        whole = all(time >= 1 and float(time).is_integer() for time in times)
        alike = (
            (placed == "asymmetric" and rounding == "floor")
            or (placed in {"half_pixel", "pytorch_half_pixel"} and rounding.startswith("round") and whole)
            or (placed == "asymmetric" and rounding == "round_prefer_floor" and set(times) <= {1.0, 2.0})
        )
        if not alike:
            raise call.refuse(f"its nearest elements are those of {placed!r} with {rounding!r}")
        return f"aten.upsample_nearest{axes}d.vec"
    call.attributes.ignore("nearest_mode")
    cubic = mode == "cubic" and math.isclose(call.attributes.number("cubic_coeff_a", -0.75), -0.75)
    names = {1: "linear1d", 2: "bilinear2d", 3: "trilinear3d"} if mode == "linear" else {2: "bicubic2d"}
    centred = placed in {"half_pixel", "pytorch_half_pixel", "align_corners"}
    if not centred or axes not in names or not (mode == "linear" or cubic):
        raise call.refuse(f"it interpolates by {mode!r} with {placed!r}")
    return f"aten.upsample_{names[axes]}.vec"


def _resized(shape: Shape | None, times: tuple[float, ...], sizes: tuple[Argument, ...] | None) -> Shape | None:
    if shape is None:
        return None
    if sizes is not None:
        return (*shape[:2], *(size if isinstance(size, int) else None for size in sizes[2:]))
    return (
        *shape[:2],
        *(None if size is None else int(size * time) for size, time in zip(shape[2:], times, strict=True)),
    )


def _depth_to_space(call: Call) -> Value:
    """DCR: b·b blocks of channels lie one after another; CRD: those of one channel do, which is torch's order."""
    value, block = call.input(0), call.attributes.integer("blocksize", 0)
    if call.rank(value) != 4 or block < 1:
        raise call.refuse("it is not given an image")
    size = partial(call.graph.size, value)
    channels = call.graph.calculate("floordiv", size(1), block * block)
    mode = call.attributes.text("mode", "DCR")
    blocks = (block, block, channels) if mode == "DCR" else (channels, block, block)
    order = (0, 3, 4, 1, 5, 2) if mode == "DCR" else (0, 1, 4, 2, 5, 3)
    return _regrouped(call, (size(0), *blocks, size(2), size(3)), order)


def _space_to_depth(call: Call) -> Value:
    value, block = call.input(0), call.attributes.integer("blocksize", 0)
    if call.rank(value) != 4 or block < 1:
        raise call.refuse("it is not given an image")
    size = partial(call.graph.size, value)
    rows, columns = (call.graph.calculate("floordiv", size(axis), block) for axis in (2, 3))
    return _regrouped(call, (size(0), size(1), rows, block, columns, block), (0, 3, 5, 1, 2, 4))


def _regrouped(call: Call, parts: tuple[Size, ...], order: tuple[int, ...]) -> Value:
    """Six axes in another order, and then four: those in the middle of the order go together in pairs."""
    value, join = call.input(0), partial(call.graph.calculate, "mul")
    tensor = call.graph.tensor(value)
    split = call.graph.emit("aten.reshape.default", value.dtype, None, self=tensor, shape=parts)
    moved = call.graph.emit("aten.permute.default", value.dtype, None, self=split.ref, dims=order)
    after = [parts[axis] for axis in order]
    pairs = (
        (after[0], after[1], join(after[2], after[3]), join(after[4], after[5]))
        if call.operator == "DepthToSpace"
        else (after[0], join(join(after[1], after[2]), after[3]), after[4], after[5])
    )
    shape = tuple(size if isinstance(size, int) else None for size in pairs)
    return call.graph.emit("aten.reshape.default", value.dtype, shape, self=moved.ref, shape=pairs)


def _grid_sample(call: Call) -> Value:
    """Opset 20 calls `linear` and `cubic` what was `bilinear` and `bicubic` before."""
    value, grid = call.input(0), call.input(1)
    mode = call.attributes.text("mode", "linear" if call.opset >= 20 else "bilinear").removeprefix("bi")
    padding = call.attributes.text("padding_mode", "zeros")
    corners = bool(call.attributes.integer("align_corners", 0))
    modes, paddings = ("linear", "nearest", "cubic"), ("zeros", "border", "reflection")
    if mode not in modes or padding not in paddings or call.rank(value) not in {4, 5}:
        raise call.refuse(f"it looks up by {mode!r} with {padding!r} in {call.rank(value)} axes")
    shape = None
    if value.shape is not None and grid.shape is not None:
        shape = (*value.shape[:2], *grid.shape[1:-1])
    return call.graph.emit(
        "aten.grid_sampler.default",
        value.dtype,
        shape,
        input=call.graph.tensor(value),
        grid=call.graph.tensor(grid),
        interpolation_mode=modes.index(mode),
        padding_mode=paddings.index(padding),
        align_corners=corners,
    )


def _affine_grid(call: Call) -> Value:
    theta, size = call.input(0), call.sizes(1)
    if size is None or len(size) not in {4, 5}:
        raise call.refuse("its size is not that of images")
    corners = bool(call.attributes.integer("align_corners", 0))
    shape = tuple(axis if isinstance(axis, int) else None for axis in (size[0], *size[2:], len(size) - 2))
    tensor = call.graph.tensor(theta)
    return call.graph.emit(
        "aten.affine_grid_generator.default", theta.dtype, shape, theta=tensor, size=size, align_corners=corners
    )


def _col2im(call: Call) -> Value:
    """Columns of overlapping blocks are added into an image."""
    value, image, block = call.input(0), call.sizes(1), call.integers(2)
    if image is None or block is None or len(image) != 2 or len(block) != 2:
        raise call.refuse("its blocks have other than two axes")
    pads = call.attributes.integers("pads") or (0, 0, 0, 0)
    if len(pads) != 4 or pads[:2] != pads[2:]:
        raise call.refuse("its two ends are padded differently")
    arguments: dict[str, Argument] = {"output_size": image, "kernel_size": block, "padding": pads[:2]}
    for name, ours in (("dilations", "dilation"), ("strides", "stride")):
        arguments[ours] = call.attributes.integers(name) or (1, 1)
    sizes = tuple(size if isinstance(size, int) else None for size in image)
    columns = value.shape[1] if value.shape is not None and len(value.shape) == 3 else None
    channels = None if columns is None or not prod(block) else columns // prod(block)
    first = value.shape[0] if value.shape else None
    shape = (first, channels, *sizes)
    return call.graph.emit("aten.col2im.default", value.dtype, shape, self=call.graph.tensor(value), **arguments)


IMAGES: Final[Mapping[str, Converter]] = {
    "AffineGrid": _affine_grid,
    "Col2Im": _col2im,
    "DepthToSpace": _depth_to_space,
    "GridSample": _grid_sample,
    "Resize": _resize,
    "SpaceToDepth": _space_to_depth,
    "Upsample": _resize,
}
