"""ONNX operators that make fewer or more elements out of neighbours: poolings, reductions, resizing, running sums."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from math import prod
from typing import Final

from sterna.errors import ModelCorrupt
from sterna.graph import Argument
from sterna.intake.onnx.arrangement import padded
from sterna.intake.onnx.call import Call, Converter
from sterna.intake.onnx.values import Computed, Items, Shape, Value
from sterna.intake.onnx.windows import Window, read_window
from sterna.intake.onnx.wire import HINT

_AXES_ARE_INPUT_FROM: Final = 18


def _pool(kind: str, call: Call) -> Value:
    value = call.input(0)
    call.attributes.ignore("storage_order")
    window = read_window(call, value, call.attributes.integers("kernel_shape") or ())
    axes = len(window.sizes)
    if not 1 <= axes <= 3 or call.rank(value) != axes + 2:
        raise call.refuse(f"its window has {axes} axes")
    ceil = bool(call.attributes.integer("ceil_mode", 0))
    counted = bool(call.attributes.integer("count_include_pad", 0)) if kind == "avg" else False
    value, pads = _pooling_pads(call, value, window, kind, counted=counted)
    shape = None
    if value.shape is not None:
        shape = (*value.shape[:2], *window.sizes_after(value.shape[2:], pads, ceil=ceil))
    arguments: dict[str, Argument] = {"kernel_size": window.sizes, "stride": window.strides, "padding": pads}
    if kind == "max":
        arguments["dilation"] = window.dilations
    else:
        if set(window.dilations) != {1}:
            raise call.refuse("its window has gaps")
        arguments["count_include_pad"] = counted
    return call.graph.emit(
        f"aten.{kind}_pool{axes}d.default",
        value.dtype,
        shape,
        self=call.graph.tensor(value),
        ceil_mode=ceil,
        **arguments,
    )


def _pooling_pads(
    call: Call, value: Value, window: Window, kind: str, *, counted: bool
) -> tuple[Value, tuple[int, ...]]:
    """Pads that torch has are alike at both ends and at most half the window; other pads become a node of their own."""
    pads = tuple(before for before, _ in window.pads)
    fits = all(2 * pad <= size for pad, size in zip(pads, window.sizes, strict=True))
    if fits and all(before == after for before, after in window.pads):
        return value, pads
    if kind == "avg" and not counted:
        raise call.refuse("it averages over pads that differ from end to end, without counting them")
    filled = -math.inf if kind == "max" else 0.0
    return padded(call, value, [(0, 0), (0, 0), *window.pads], filled=filled), (0,) * len(pads)


def _global_pool(operator: str, call: Call) -> Value:
    value = call.input(0)
    rank = call.rank(value)
    shape = None if value.shape is None else (*value.shape[:2], *(1,) * (rank - 2))
    axes = tuple(range(2, rank))
    return call.graph.emit(operator, value.dtype, shape, self=call.graph.tensor(value), dim=axes, keepdim=True)


def _reduce(operator: str, call: Call, **arguments: Argument) -> Value:
    value = call.input(0)
    axes, keep = _reduced_axes(call), bool(call.attributes.integer("keepdims", 1))
    if axes == () and call.attributes.integer("noop_with_empty_axes", 0):
        return value
    call.attributes.ignore("noop_with_empty_axes")
    rank = None if value.shape is None else len(value.shape)
    if not axes:
        axes = tuple(range(call.rank(value)))
    elif rank is not None:
        axes = tuple(call.axis(axis, rank) for axis in axes)
    shape = _reduced_shape(value.shape, axes, keep=keep)
    tensor = call.graph.tensor(value)
    return call.graph.emit(operator, value.dtype, shape, self=tensor, dim=axes, keepdim=keep, **arguments)


def _reduced_axes(call: Call) -> tuple[int, ...]:
    as_input_from = 13 if call.operator == "ReduceSum" else _AXES_ARE_INPUT_FROM
    return call.axes(1, as_input_from=as_input_from) or ()


def _reduced_shape(shape: Shape | None, axes: tuple[int, ...], *, keep: bool) -> Shape | None:
    if shape is None:
        return None
    if keep:
        return tuple(1 if at in axes else size for at, size in enumerate(shape))
    return tuple(size for at, size in enumerate(shape) if at not in axes)


def _reduce_squares(call: Call) -> Value:
    value = call.input(0)
    squared = call.like("aten.square.default", value, self=call.graph.tensor(value))
    inner = Call(call.graph, call.operator, (squared, *call.inputs[1:]), call.attributes, call.outputs)
    return _reduce("aten.sum.dim_IntList", inner)


def _reduce_product(call: Call) -> Value:
    """Of sizes; a product of data is read along one axis."""
    items = call.graph.items(call.input(0))
    if items is not None and not items.scalar:
        axes, keep = _reduced_axes(call), call.attributes.integer("keepdims", 1)
        call.attributes.ignore("noop_with_empty_axes")
        if axes in {(), (0,), (-1,)} and not any(isinstance(element, float) for element in items.elements):
            return _product_of(call, items, scalar=not keep)
    raise call.refuse("it multiplies elements that are data")


def _product_of(call: Call, items: Items, *, scalar: bool) -> Items:
    if items.is_known:
        return Items((prod(element for element in items.elements if isinstance(element, int)),), items.dtype, scalar)
    total = None
    for element in items.elements:
        size = element if not isinstance(element, float) else 0
        total = size if total is None else call.graph.calculate("mul", total, size)
    return Items((1 if total is None else total,), items.dtype, scalar)


def _arg(operator: str, call: Call) -> Value:
    value, axis = call.input(0), call.attributes.integer("axis", 0)
    keep = bool(call.attributes.integer("keepdims", 1))
    if call.attributes.integer("select_last_index", 0):
        raise call.refuse("it takes the last of equal elements")
    axis = call.axis(axis, call.rank(value))
    shape = _reduced_shape(value.shape, (axis,), keep=keep)
    return call.graph.emit(operator, "int64", shape, self=call.graph.tensor(value), dim=axis, keepdim=keep)


def _cumsum(call: Call) -> Value:
    value, axes = call.input(0), call.integers(1) or (0,)
    if call.attributes.integer("exclusive", 0) or call.attributes.integer("reverse", 0):
        raise call.refuse("it is exclusive or runs backwards")
    total = call.like("aten.cumsum.default", value, self=call.graph.tensor(value), dim=axes[0])
    return Computed(total.ref, value.dtype, value.shape)


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


def _lp_normalization(call: Call) -> Value:
    value = call.input(0)
    axis, order = call.attributes.integer("axis", -1), call.attributes.integer("p", 2)
    tensor = call.graph.tensor(value)
    if order not in {1, 2}:
        raise ModelCorrupt(f"LpNormalization has the order {order}", hint=HINT)
    norm = call.graph.emit(
        "aten.linalg_vector_norm.default", value.dtype, None, self=tensor, ord=order, dim=(axis,), keepdim=True
    )
    return call.like("aten.div.Tensor", value, self=tensor, other=norm.ref)


def _norm(order: int, call: Call) -> Value:
    return _reduce("aten.linalg_vector_norm.default", call, ord=order)


POOLING: Final[Mapping[str, Converter]] = {
    "ArgMax": partial(_arg, "aten.argmax.default"),
    "ArgMin": partial(_arg, "aten.argmin.default"),
    "AveragePool": partial(_pool, "avg"),
    "CumSum": _cumsum,
    "GlobalAveragePool": partial(_global_pool, "aten.mean.dim"),
    "GlobalMaxPool": partial(_global_pool, "aten.amax.default"),
    "LpNormalization": _lp_normalization,
    "MaxPool": partial(_pool, "max"),
    "ReduceL1": partial(_norm, 1),
    "ReduceL2": partial(_norm, 2),
    "ReduceLogSumExp": partial(_reduce, "aten.logsumexp.default"),
    "ReduceMax": partial(_reduce, "aten.amax.default"),
    "ReduceMean": partial(_reduce, "aten.mean.dim"),
    "ReduceMin": partial(_reduce, "aten.amin.default"),
    "ReduceProd": _reduce_product,
    "ReduceSum": partial(_reduce, "aten.sum.dim_IntList"),
    "ReduceSumSquare": _reduce_squares,
    "Resize": _resize,
    "Upsample": _resize,
}
