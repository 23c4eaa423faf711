"""ONNX operators that take parts of a tensor: splits, slices, rows by index."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from numpy.typing import NDArray

from sterna.errors import ModelCorrupt
from sterna.graph import FLOATING, Argument, ValueRef
from sterna.graph.check import MAX_LIST
from sterna.intake.onnx.call import Call, Converter
from sterna.intake.onnx.known import as_value, known_array
from sterna.intake.onnx.rearranged import rearranged
from sterna.intake.onnx.values import Element, Items, Shape, Size, Stored, Value, resized
from sterna.intake.onnx.wire import HINT

_TO_THE_END: Final = 2**31 - 1


def _split(call: Call) -> tuple[Value, ...]:
    value, axis = call.input(0), call.attributes.integer("axis", 0)
    sizes = call.sizes(1) if call.opset >= 13 else call.attributes.integers("split")
    parts = call.attributes.integer("num_outputs", call.outputs)
    tensor = call.graph.tensor(value)
    if sizes is None:
        sizes = _even(call, value, axis, parts)
    elements = call.graph.items(value)
    if elements is not None and all(isinstance(size, int) for size in sizes):
        return _split_items(elements, [size for size in sizes if isinstance(size, int)])
    shapes = [resized(value.shape, axis, size if isinstance(size, int) else None) for size in sizes]
    return call.graph.emit_several(
        "aten.split_with_sizes.default",
        [(value.dtype, shape) for shape in shapes],
        self=tensor,
        split_sizes=sizes,
        dim=axis,
    )


def _split_items(items: Items, sizes: list[int]) -> tuple[Value, ...]:
    parts: list[Value] = []
    start = 0
    for size in sizes:
        parts.append(Items(items.elements[start : start + size], items.dtype, scalar=False))
        start += size
    return tuple(parts)


def _even(call: Call, value: Value, axis: int, parts: int) -> tuple[Size, ...]:
    """Equal parts, of which the last may be smaller."""
    if not 0 < parts <= MAX_LIST:
        raise ModelCorrupt(f"Split has {parts} parts", hint=HINT)
    whole = call.graph.size(value, axis)
    if isinstance(whole, int):
        part = -(-whole // parts)
        return (*(part,) * (parts - 1), whole - part * (parts - 1))
    return (call.graph.calculate("floordiv", whole, parts),) * parts


def _slice(call: Call) -> Value:
    value = call.input(0)
    if call.opset < 10:
        starts: tuple[Size, ...] = call.attributes.integers("starts") or ()
        ends: tuple[Size, ...] = call.attributes.integers("ends") or ()
        axes, steps = call.attributes.integers("axes"), None
    else:
        starts, ends, axes, steps = call.sizes(1) or (), call.sizes(2) or (), call.integers(3), call.integers(4)
    axes = axes if axes is not None else tuple(range(len(starts)))
    steps = steps if steps is not None else (1,) * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise ModelCorrupt("Slice has starts, ends, axes and steps of different lengths", hint=HINT)
    items = call.graph.items(value)
    if items is not None and not items.scalar and len(starts) == 1:
        start, end = starts[0], ends[0]
        if isinstance(start, int) and isinstance(end, int) and steps[0]:
            return Items(items.elements[slice(start, end, steps[0])], items.dtype, scalar=False)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        known = known_array(value)
        if known is not None and isinstance(start, int) and isinstance(end, int) and step:
            axis_slices = [slice(None)] * call.axis(axis, known.ndim) + [slice(start, end, step)]
            value = as_value(known[tuple(axis_slices)], value.dtype)
            continue
        value = _sliced(call, value, axis, (start, end, step))
    return value


def _sliced(call: Call, value: Value, axis: int, part: tuple[Size, Size, int]) -> Value:
    start, end, step = part
    tensor = call.graph.tensor(value)
    if step < 1:
        if step != -1 or start != -1 or not isinstance(end, int) or end > -_TO_THE_END:
            raise call.refuse("it goes backwards, other than over a whole axis")
        return call.like("aten.flip.default", value, self=tensor, dims=(axis,))
    shape = resized(value.shape, axis, _sliced_size(value.shape, axis, part))
    arguments: dict[str, Argument] = {"dim": axis, "start": start}
    arguments["end"] = None if isinstance(end, int) and end >= _TO_THE_END else end
    made = call.graph.emit("aten.slice.Tensor", value.dtype, shape, self=tensor, step=step, **arguments)
    if not isinstance(start, int) or not isinstance(end, int):
        return made
    return rearranged(made, [value], partial(_cut, axis, slice(start, end, step)))


def _cut(axis: int, part: slice, arrays: list[NDArray[Any]]) -> NDArray[Any]:
    index = [slice(None)] * arrays[0].ndim
    index[axis] = part
    return arrays[0][tuple(index)]


def _sliced_size(shape: Shape | None, axis: int, part: tuple[Size, Size, int]) -> int | None:
    start, end, step = part
    whole = shape[axis] if shape is not None and -len(shape) <= axis < len(shape) else None
    if whole is None or not isinstance(start, int) or not isinstance(end, int):
        return None
    return len(range(*slice(start, end, step).indices(whole)))


def _gather(call: Call) -> Value:
    value, index, axis = call.input(0), call.input(1), call.attributes.integer("axis", 0)
    items, chosen = call.graph.items(value), call.graph.items(index)
    if (
        items is not None
        and chosen is not None
        and chosen.is_known
        and not items.scalar
        and value.dtype not in FLOATING
    ):
        return _gather_items(items, chosen)
    if isinstance(value, Stored) and len(value.shape) == 2 and axis == 0 and value.dtype in FLOATING:
        shape = None if index.shape is None else (*index.shape, value.shape[1])
        weight = call.graph.tensor(value, "parameter")
        indices = call.graph.tensor(index)
        return call.graph.emit("aten.embedding.default", value.dtype, shape, weight=weight, indices=indices)
    tensor = call.graph.tensor(value)
    if chosen is not None and chosen.scalar and isinstance(position := chosen.elements[0], int | ValueRef):
        rank = None if value.shape is None else call.axis(axis, len(value.shape))
        shape = None if value.shape is None or rank is None else (*value.shape[:rank], *value.shape[rank + 1 :])
        return call.graph.emit("aten.select.int", value.dtype, shape, self=tensor, dim=axis, index=position)
    return _gather_along(call, value, index, call.axis(axis, call.rank(value)))


def _gather_items(items: Items, chosen: Items) -> Items:
    count = len(items.elements)
    elements: list[Element] = []
    for position in chosen.elements:
        if not isinstance(position, int) or not -count <= position < count:
            raise ModelCorrupt("Gather looks beyond the end of a shape", hint=HINT)
        elements.append(items.elements[position])
    return Items(tuple(elements), items.dtype, chosen.scalar)


def _gather_along(call: Call, value: Value, index: Value, axis: int) -> Value:
    shape = None
    if value.shape is not None and index.shape is not None:
        shape = (*value.shape[:axis], *index.shape, *value.shape[axis + 1 :])
    indices = (*(None,) * axis, call.graph.tensor(index))
    tensor = call.graph.tensor(value)
    return call.graph.emit("aten.index.Tensor", value.dtype, shape, self=tensor, indices=indices)


SELECTION: Final[Mapping[str, Converter]] = {
    "Gather": _gather,
    "Slice": _slice,
    "Split": _split,
}
