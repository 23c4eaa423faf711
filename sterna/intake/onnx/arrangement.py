"""ONNX operators that arrange elements and compute nothing: shapes, joins, repetitions, paddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sterna.errors import ModelCorrupt, ModelTooLarge
from sterna.graph import FLOATING, Argument, Dtype, TensorKind
from sterna.graph.check import MAX_DIMENSIONS, MAX_LIST, MAX_SIZE
from sterna.intake.onnx.call import Call, Converter
from sterna.intake.onnx.known import as_value, known_array
from sterna.intake.onnx.rearranged import rearranged
from sterna.intake.onnx.values import Computed, Items, Shape, Size, Stored, Value, broadcast
from sterna.intake.onnx.wire import HINT


def _constant(call: Call) -> Value:
    attributes = call.attributes
    for name, dtype in (("value_float", "float32"), ("value_int", "int64")):
        if attributes.has(name):
            number = attributes.number(name, 0.0) if dtype == "float32" else attributes.integer(name, 0)
            return Items((number,), dtype, scalar=True)
    floats, integers = attributes.numbers("value_floats"), attributes.integers("value_ints")
    if floats is not None or integers is not None:
        return Items(floats or integers or (), "float32" if floats is not None else "int64", scalar=False)
    return Stored(attributes.tensor("value"))


def _shape(call: Call) -> Value:
    value = call.input(0)
    rank = call.rank(value)
    start, end = call.attributes.integer("start", 0), call.attributes.integer("end", rank)
    axes = range(rank)[start:end]
    call.graph.work(len(axes))
    return Items(tuple(call.graph.size(value, axis) for axis in axes), "int64", scalar=False)


def _size(call: Call) -> Value:
    value, total = call.input(0), 1
    count: Size = total
    for axis in range(call.rank(value)):
        count = call.graph.calculate("mul", count, call.graph.size(value, axis))
    return Items((count,), "int64", scalar=True)


def _constant_of_shape(call: Call) -> Value:
    sizes = call.sizes(0) or ()
    filled = call.graph.items(Stored(call.attributes.tensor("value"))) if call.attributes.has("value") else None
    filled = filled or Items((0.0,), "float32", scalar=False)
    if len(filled.elements) != 1:
        raise ModelCorrupt("ConstantOfShape has other than one value", hint=HINT)
    if len(sizes) <= 1 and (not sizes or (isinstance(sizes[0], int) and 0 <= sizes[0] <= MAX_LIST)):
        count = sizes[0] if sizes and isinstance(sizes[0], int) else 1
        return Items(filled.elements * count, filled.dtype, scalar=not sizes)
    scalar = Items(filled.elements, filled.dtype, scalar=True)
    made = _expanded(call, scalar, sizes)
    return replace(made, full=sizes[0]) if len(sizes) == 1 and filled.elements[0] else made


def _range(call: Call) -> Value:
    found = [call.graph.items(call.input(index)) for index in range(3)]
    if any(items is None for items in found):
        raise call.refuse("it counts up to a number that the network computes from its data")
    if any(len(items.elements) != 1 for items in found if items is not None):
        raise ModelCorrupt("Range has other than single numbers", hint=HINT)
    start, end, step = (items.elements[0] for items in found if items is not None)
    dtype = call.input(0).dtype
    if step == 0:
        raise ModelCorrupt("Range has a step of 0", hint=HINT)
    if isinstance(start, int) and isinstance(end, int) and isinstance(step, int):
        counted = range(start, end, step)
        if counted[MAX_SIZE:]:
            raise ModelTooLarge(f"Range counts further than {MAX_SIZE}")
        if not counted[MAX_LIST:]:
            return Items(tuple(counted), dtype, scalar=False)
    return call.graph.emit(
        "aten.arange.start_step", dtype, (None,), start=start, end=end, step=step, dtype=Dtype(dtype)
    )


def _reshape(call: Call) -> Value:
    value, sizes = call.input(0), call.sizes(1)
    if sizes is None:
        raise ModelCorrupt("Reshape has no shape", hint=HINT)
    zeros_are_sizes = bool(call.attributes.integer("allowzero", 0))
    items, known = call.graph.items(value), known_array(value)
    if items is not None and len(sizes) <= 1:
        if not sizes and len(items.elements) != 1:
            raise ModelCorrupt("Reshape makes one number out of others", hint=HINT)
        return Items(items.elements, items.dtype, scalar=not sizes)
    whole = [size for size in sizes if isinstance(size, int)]
    if known is not None and 0 not in sizes and len(whole) == len(sizes):
        return _reshaped_array(call, known, value.dtype, whole)
    if not zeros_are_sizes:
        sizes = tuple(call.graph.size(value, at) if size == 0 else size for at, size in enumerate(sizes))
    shape = _reshaped(value.shape, sizes)
    return call.graph.emit("aten.reshape.default", value.dtype, shape, self=call.graph.tensor(value), shape=sizes)


def _reshaped_array(call: Call, array: NDArray[Any], dtype: str, sizes: list[int]) -> Value:
    try:
        return as_value(array.reshape(sizes), dtype)
    except ValueError:
        raise ModelCorrupt(f"{call.operator} has a shape that its elements do not fill", hint=HINT) from None


def _reshaped(before: Shape | None, sizes: tuple[Size, ...]) -> Shape:
    after = [size if isinstance(size, int) and size >= 0 else None for size in sizes]
    rest = [size for size in after if size is not None]
    if after.count(None) == 1 and before is not None and None not in before and 0 not in rest:
        total = prod([size for size in before if size is not None])
        after[after.index(None)] = total // prod(rest)
    return tuple(after)


def _flatten(call: Call) -> Value:
    """Two axes: all before the given one, and all from it on."""
    value, axis = call.input(0), call.attributes.integer("axis", 1)
    tensor = call.graph.tensor(value)
    if axis == 1 and (value.shape is None or len(value.shape) > 1):
        shape = None if value.shape is None else _reshaped(value.shape, (_known(value.shape[0]), -1))
        return call.graph.emit("aten.flatten.using_ints", value.dtype, shape, self=tensor, start_dim=1)
    rank = call.rank(value)
    axis = axis + rank if axis < 0 else axis
    first: Size = 1
    for before in range(axis):
        first = call.graph.calculate("mul", first, call.graph.size(value, before))
    sizes = (first, -1)
    shape = _reshaped(value.shape, sizes)
    return call.graph.emit("aten.reshape.default", value.dtype, shape, self=tensor, shape=sizes)


def _known(size: int | None) -> int:
    return -1 if size is None else size


def _transpose(call: Call) -> Value:
    value, order = call.input(0), call.attributes.integers("perm")
    if order is None:
        order = tuple(reversed(range(call.rank(value))))
    if sorted(order) != list(range(len(order))) or (value.shape is not None and len(order) != len(value.shape)):
        raise ModelCorrupt("Transpose has an order of axes that is none", hint=HINT)
    known = known_array(value)
    if known is not None:
        return as_value(known.transpose(order), value.dtype)
    shape = None if value.shape is None else tuple(value.shape[axis] for axis in order)
    kind: TensorKind = "parameter" if isinstance(value, Stored) and value.dtype in FLOATING else "constant"
    tensor = call.graph.tensor(value, kind)
    return call.graph.emit("aten.permute.default", value.dtype, shape, self=tensor, dims=order)


def _squeeze(call: Call) -> Value:
    value, axes = call.input(0), call.axes(1, as_input_from=13)
    items = call.graph.items(value)
    if items is not None and len(items.elements) == 1:
        return Items(items.elements, items.dtype, scalar=True)
    tensor = call.graph.tensor(value)
    if axes is None:
        shape = value.shape
        known = shape is not None and None not in shape
        after = tuple(size for size in shape or () if size != 1) if known else None
        return call.graph.emit("aten.squeeze.default", value.dtype, after, self=tensor)
    dropped = axes if value.shape is None else tuple(call.axis(axis, len(value.shape)) for axis in axes)
    after = None
    if value.shape is not None:
        after = tuple(size for at, size in enumerate(value.shape) if at not in dropped)
    return call.graph.emit("aten.squeeze.dims", value.dtype, after, self=tensor, dim=dropped)


def _unsqueeze(call: Call) -> Value:
    value, axes = call.input(0), call.axes(1, as_input_from=13) or ()
    items = call.graph.items(value)
    if items is not None and items.scalar and len(axes) == 1:
        return Items(items.elements, items.dtype, scalar=False)
    if value.shape is None and (len(axes) > 1 and min(axes) < 0):
        raise call.refuse("the number of axes of its input is not known")
    if value.shape is not None:
        axes = tuple(call.axis(axis, len(value.shape) + len(axes)) for axis in axes)
    result, shape = value, None if value.shape is None else list(value.shape)
    for axis in sorted(axes):
        if shape is not None:
            shape.insert(axis, 1)
        tensor = call.graph.tensor(result)
        after = None if shape is None else tuple(shape)
        made = call.graph.emit("aten.unsqueeze.default", value.dtype, after, self=tensor, dim=axis)
        result = rearranged(made, [result], partial(_with_axis, axis))
    return result


def _with_axis(axis: int, arrays: list[NDArray[Any]]) -> NDArray[Any]:
    return np.expand_dims(arrays[0], axis)


def _concat(call: Call) -> Value:
    values = [call.input(index) for index in range(len(call.inputs))]
    if not values:
        raise ModelCorrupt("Concat has no inputs", hint=HINT)
    if not any(isinstance(value, Computed) for value in values):
        found = [call.graph.items(value) for value in values]
        known = [items for items in found if items is not None and not items.scalar]
        call.attributes.ignore("axis")
        if len(known) == len(values) and sum(len(items.elements) for items in known) <= MAX_LIST:
            call.graph.work(sum(len(items.elements) for items in known))
            elements = tuple(element for items in known for element in items.elements)
            return Items(elements, known[0].dtype, scalar=False)
    axis = call.attributes.integer("axis", 0 if call.opset < 4 else 1)
    tensors = tuple(call.graph.tensor(value) for value in values)
    shape = _joined([value.shape for value in values], axis)
    made = call.graph.emit("aten.cat.default", values[0].dtype, shape, tensors=tensors, dim=axis)
    return rearranged(made, values, partial(np.concatenate, axis=axis))


def _joined(shapes: list[Shape | None], axis: int) -> Shape | None:
    first = next((shape for shape in shapes if shape is not None), None)
    if first is None or not -len(first) <= axis < len(first):
        return None
    known = [shape for shape in shapes if shape is not None and len(shape) == len(first)]
    if len(known) != len(shapes):
        return (None,) * len(first)
    result = [next((size for size in sizes if size is not None), None) for sizes in zip(*known, strict=True)]
    along = [shape[axis] for shape in known]
    result[axis] = None if None in along else sum(size for size in along if size is not None)
    return tuple(result)


def _expand(call: Call) -> Value:
    sizes = call.sizes(1)
    if sizes is None:
        raise ModelCorrupt("Expand has no shape", hint=HINT)
    return _expanded_array(call, sizes) or _expanded(call, call.input(0), sizes)


def _expanded_array(call: Call, sizes: tuple[Size, ...]) -> Value | None:
    """A small array of whole numbers that is widened to a small one."""
    value, whole = call.input(0), [size for size in sizes if isinstance(size, int)]
    known = known_array(value)
    if known is None or len(whole) != len(sizes) or min(whole, default=0) < 0 or len(whole) > MAX_DIMENSIONS:
        return None
    shape = broadcast(known.shape, tuple(whole))
    count = prod(size or 0 for size in shape or ())
    if shape is None or None in shape or count > MAX_LIST:
        return None
    call.graph.work(count)
    return as_value(np.broadcast_to(known, tuple(size or 0 for size in shape)), value.dtype)


def _expanded(call: Call, value: Value, sizes: tuple[Size, ...]) -> Computed:
    """Both shapes are broadcast: where the wanted size is 1, or the value is wider already, its own size stays."""
    before = (1,) * max(0, len(sizes) - call.rank(value)) + (value.shape or ())
    sizes = (1,) * (len(before) - len(sizes)) + sizes
    wanted: list[Size] = []
    for at, (own, size) in enumerate(zip(before, sizes, strict=True)):
        is_new = at < len(before) - call.rank(value)
        keeps = not is_new and (size == 1 or (own is not None and own > 1))
        wanted.append(-1 if keeps else size)
    shape = broadcast(before, tuple(size if isinstance(size, int) else None for size in sizes))
    return call.graph.emit("aten.expand.default", value.dtype, shape, self=call.graph.tensor(value), size=tuple(wanted))


def _tile(call: Call) -> Value:
    value, repeats = call.input(0), call.sizes(1) or ()
    shape: Shape | None = None
    if value.shape is not None and len(value.shape) == len(repeats):
        shape = tuple(
            size * times if size is not None and isinstance(times, int) else None
            for size, times in zip(value.shape, repeats, strict=True)
        )
    return call.graph.emit("aten.repeat.default", value.dtype, shape, self=call.graph.tensor(value), repeats=repeats)


def _pad(call: Call) -> Value:
    """ONNX gives all beginnings and then all ends, torch pairs from the last axis on."""
    value, mode = call.input(0), call.attributes.text("mode", "constant")
    filled: float = 0.0
    pads: tuple[Size, ...]
    if call.opset < 11:
        pads, filled = call.attributes.integers("pads") or (), call.attributes.number("value", 0.0)
        axes = None
    else:
        pads, axes = call.sizes(1) or (), call.integers(3)
        filled = (call.numbers(2) or (0.0,))[0]
    modes = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    if mode not in modes:
        raise call.refuse(f"its mode is {mode!r}")
    rank = call.rank(value)
    axes = tuple(range(len(pads) // 2)) if axes is None else tuple(call.axis(axis, rank) for axis in axes)
    pairs: list[tuple[Size, Size]] = [(0, 0)] * rank
    for at, axis in enumerate(axes):
        if axis >= rank or len(pads) != 2 * len(axes):
            raise ModelCorrupt("Pad has pads for other axes than there are", hint=HINT)
        pairs[axis] = (pads[at], pads[at + len(axes)])
    return padded(call, value, pairs, modes[mode], filled)


def padded(
    call: Call, value: Value, pairs: Sequence[tuple[Size, Size]], mode: str = "constant", filled: float = 0.0
) -> Value:
    """The value with that many elements more before and after each axis."""
    if value.shape is not None and len(value.shape) != len(pairs):
        raise ModelCorrupt(f"{call.operator} pads {len(pairs)} axes of {len(value.shape)}", hint=HINT)
    first = next((axis for axis, pair in enumerate(pairs) if pair != (0, 0)), None)
    if first is None:
        return value
    pad = tuple(size for pair in reversed(pairs[first:]) for size in pair)
    shape = value.shape
    if shape is not None:
        shape = tuple(_padded_size(size, pair) for size, pair in zip(shape, pairs, strict=True))
    arguments: dict[str, Argument] = {"pad": pad, "mode": mode}
    if mode == "constant":
        arguments["value"] = filled
    return call.graph.emit("aten.pad.default", value.dtype, shape, self=call.graph.tensor(value), **arguments)


def _padded_size(size: int | None, pair: tuple[Size, Size]) -> int | None:
    before, after = pair
    if size is None or not isinstance(before, int) or not isinstance(after, int):
        return None
    return size + before + after


def _trilu(call: Call) -> Value:
    value, diagonal = call.input(0), (call.integers(1) or (0,))[0]
    operator = "aten.triu.default" if call.attributes.integer("upper", 1) else "aten.tril.default"
    return call.like(operator, value, self=call.graph.tensor(value), diagonal=diagonal)


ARRANGEMENT: Final[Mapping[str, Converter]] = {
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
    "Flatten": _flatten,
    "Pad": _pad,
    "Range": _range,
    "Reshape": _reshape,
    "Shape": _shape,
    "Size": _size,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Trilu": _trilu,
    "Unsqueeze": _unsqueeze,
}
