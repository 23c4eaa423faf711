"""ONNX operators that make fewer elements out of neighbours: poolings, reductions, running sums."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from math import prod
from typing import Final

from sterna.errors import ModelCorrupt
from sterna.graph import Argument, Dtype
from sterna.intake.onnx.arrangement import padded
from sterna.intake.onnx.call import Call, Converter
from sterna.intake.onnx.values import Items, Shape, Value
from sterna.intake.onnx.windows import Window, read_window
from sterna.intake.onnx.wire import HINT

_AXES_ARE_INPUT_FROM: Final = 18


def _pool(kind: str, call: Call, *, counted: bool = False) -> Value:
    value = call.input(0)
    call.attributes.ignore("storage_order")
    window = read_window(call, value, call.attributes.integers("kernel_shape") or ())
    axes = len(window.sizes)
    if not 1 <= axes <= 3 or call.rank(value) != axes + 2:
        raise call.refuse(f"its window has {axes} axes")
    ceil = bool(call.attributes.integer("ceil_mode", 0))
    if kind == "avg" and not counted:
        counted = bool(call.attributes.integer("count_include_pad", 0))
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


def _global_pool(operator: str, call: Call, **arguments: Argument) -> Value:
    value = call.input(0)
    rank = call.rank(value)
    shape = None if value.shape is None else (*value.shape[:2], *(1,) * (rank - 2))
    axes = tuple(range(2, rank))
    tensor = call.graph.tensor(value)
    return call.graph.emit(operator, value.dtype, shape, self=tensor, dim=axes, keepdim=True, **arguments)


def _lp_pool(call: Call) -> Value:
    """(Σ |x|^p) ^ (1/p) of each window, by its mean; what it is padded with counts, since it is 0."""
    value, order = call.input(0), float(call.attributes.integer("p", 2))
    if order < 1:
        raise ModelCorrupt(f"LpPool has the order {order}", hint=HINT)
    if call.attributes.integer("ceil_mode", 0):
        raise call.refuse("its last windows may go beyond the end")
    size = call.like("aten.abs.default", value, self=call.graph.tensor(value))
    powers = call.like("aten.pow.Tensor_Scalar", value, self=size.ref, exponent=order)
    mean = _pool("avg", Call(call.graph, call.operator, (powers,), call.attributes, 1), counted=True)
    window = prod(call.attributes.integers("kernel_shape") or ())
    total = call.like("aten.mul.Tensor", mean, self=call.graph.tensor(mean), other=float(window))
    return call.like("aten.pow.Tensor_Scalar", mean, self=total.ref, exponent=1.0 / order)


def _global_lp_pool(call: Call) -> Value:
    return _global_pool("aten.linalg_vector_norm.default", call, ord=call.attributes.integer("p", 2))


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
    if operator == "aten.sum.dim_IntList":
        arguments["dtype"] = Dtype(value.dtype)  # else torch sums whole numbers up in 64 bits
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


def _reduce_log_sum(call: Call) -> Value:
    total = _reduce("aten.sum.dim_IntList", call)
    return call.like("aten.log.default", total, self=call.graph.tensor(total))


def _reduce_product(call: Call) -> Value:
    """Of sizes, and of data along one axis."""
    items = call.graph.items(call.input(0))
    if items is not None and not items.scalar:
        axes, keep = _reduced_axes(call), call.attributes.integer("keepdims", 1)
        call.attributes.ignore("noop_with_empty_axes")
        if axes in {(), (0,), (-1,)} and not any(isinstance(element, float) for element in items.elements):
            return _product_of(call, items, scalar=not keep)
    value, axes = call.input(0), _reduced_axes(call)
    if len(axes) != 1:
        raise call.refuse("it multiplies along other than one axis")
    axis = call.axis(axes[0], call.rank(value))
    keep = bool(call.attributes.integer("keepdims", 1))
    call.attributes.ignore("noop_with_empty_axes")
    shape = _reduced_shape(value.shape, (axis,), keep=keep)
    tensor = call.graph.tensor(value)
    return call.graph.emit(
        "aten.prod.dim_int", value.dtype, shape, self=tensor, dim=axis, keepdim=keep, dtype=Dtype(value.dtype)
    )


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
    """Backwards is forwards between two flips; an exclusive sum leaves the element itself out."""
    value, axis = call.input(0), (call.integers(1) or (0,))[0]
    exclusive, reverse = (bool(call.attributes.integer(name, 0)) for name in ("exclusive", "reverse"))
    tensor = call.graph.tensor(value)
    given = call.like("aten.flip.default", value, self=tensor, dims=(axis,)).ref if reverse else tensor
    total = call.graph.emit(
        "aten.cumsum.default", value.dtype, value.shape, self=given, dim=axis, dtype=Dtype(value.dtype)
    )
    if exclusive:
        total = call.like("aten.sub.Tensor", value, self=total.ref, other=given)
    return call.like("aten.flip.default", value, self=total.ref, dims=(axis,)) if reverse else total


def _norm(order: int, call: Call) -> Value:
    return _reduce("aten.linalg_vector_norm.default", call, ord=order)


POOLING: Final[Mapping[str, Converter]] = {
    "ArgMax": partial(_arg, "aten.argmax.default"),
    "ArgMin": partial(_arg, "aten.argmin.default"),
    "AveragePool": partial(_pool, "avg"),
    "CumSum": _cumsum,
    "GlobalAveragePool": partial(_global_pool, "aten.mean.dim"),
    "GlobalLpPool": _global_lp_pool,
    "GlobalMaxPool": partial(_global_pool, "aten.amax.default"),
    "LpPool": _lp_pool,
    "MaxPool": partial(_pool, "max"),
    "ReduceL1": partial(_norm, 1),
    "ReduceL2": partial(_norm, 2),
    "ReduceLogSum": _reduce_log_sum,
    "ReduceLogSumExp": partial(_reduce, "aten.logsumexp.default"),
    "ReduceMax": partial(_reduce, "aten.amax.default"),
    "ReduceMean": partial(_reduce, "aten.mean.dim"),
    "ReduceMin": partial(_reduce, "aten.amin.default"),
    "ReduceProd": _reduce_product,
    "ReduceSum": partial(_reduce, "aten.sum.dim_IntList"),
    "ReduceSumSquare": _reduce_squares,
}
