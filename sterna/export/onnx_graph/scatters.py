"""Parts of a tensor made anew: slices and rows that are put back, elements that are written or added by index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sterna.export.onnx_graph.arithmetic import combine, operand_as
from sterna.export.onnx_graph.builder import Builder
from sterna.export.onnx_graph.shapes import LAST
from sterna.export.onnx_graph.values import Rule, Value

Arguments = Mapping[str, Any]
_REDUCTIONS: Final = {"sum": "add", "prod": "mul", "amax": "max", "amin": "min"}


def _put_back_row(b: Builder, a: Arguments) -> Value:
    x: Value = a["self"]
    axis, index = x.axis(a.get("dim", 0)), a["index"]
    if not isinstance(index, int):
        raise b.refuse("at a place that follows from the inputs")
    row = b.op("Unsqueeze", a["src"], b.ints([axis]))
    return _between(b, x, row, axis, (index, LAST if index == -1 else index + 1))


def _put_back_slice(b: Builder, a: Arguments) -> Value:
    x: Value = a["self"]
    axis, step = x.axis(a.get("dim", 0)), a.get("step", 1)
    start = 0 if a.get("start") is None else a["start"]
    end = LAST if a.get("end") is None else a["end"]
    if not all(isinstance(number, int) for number in (start, end, step)):
        raise b.refuse("at a place that follows from the inputs")
    size = x.shape[axis]
    if size is not None:
        return _put_back_places(b, a, axis, range(*slice(start, end, step).indices(size)))
    inside = start != 0 and end != LAST
    if step != 1 or (inside and (start < 0) != (end < 0)):
        raise b.refuse("in steps or counted from both ends, along an axis whose size follows from the inputs")
    return x if inside and start >= end else _between(b, x, a["src"], axis, (start, end))


def _put_back_places(b: Builder, a: Arguments, axis: int, places: range) -> Value:
    """The slice of an axis whose size is known, in one piece or in steps."""
    x: Value = a["self"]
    size = x.shape[axis] or 0
    if not places:
        return x
    if places.step == 1:
        return _between(b, x, a["src"], axis, (places.start, LAST if places.stop == size else places.stop))
    both = b.op("Concat", x, b.cast(a["src"], x.dtype), axis=axis)
    chosen = [size + places.index(place) if place in places else place for place in range(size)]
    return _as(x, b.op("Gather", both, b.ints(chosen), axis=axis))


def _between(b: Builder, x: Value, part: Value, axis: int, bounds: tuple[int, int]) -> Value:
    """`x` with a part in place of what lies between two bounds of an axis."""
    start, end = bounds
    along = b.ints([axis])
    pieces = [b.cast(part, x.dtype)]
    if start != 0:
        pieces.insert(0, b.op("Slice", x, b.ints([0]), b.ints([start]), along))
    if end != LAST:
        pieces.append(b.op("Slice", x, b.ints([end]), b.ints([LAST]), along))
    return _as(x, b.op("Concat", *pieces, axis=axis))


def _as(x: Value, made: Value) -> Value:
    return Value(made.name, x.dtype, x.shape)


def _scatter(reduction: str | None) -> Rule:
    """Write elements at the places of an index along one axis, or combine them with what is there."""

    def write(b: Builder, a: Arguments) -> Value:
        return _scattered(b, a, _cut_to(b, a["src"], a["index"]), reduction)

    return write


def _scatter_number(b: Builder, a: Arguments) -> Value:
    x: Value = a["self"]
    number = operand_as(b, a["value"], x.dtype)
    return _scattered(
        b, a, b.op("Expand", number, b.op("Shape", a["index"]), shape=a["index"].shape, dtype=x.dtype), None
    )


def _scatter_reduce(b: Builder, a: Arguments) -> Value:
    reduction = _REDUCTIONS.get(a["reduce"])
    if reduction is None or not a.get("include_self", True):
        raise b.refuse("by a mean, or without what was there")
    return _scattered(b, a, _cut_to(b, a["src"], a["index"]), reduction)


def _index_add(b: Builder, a: Arguments) -> Value:
    x, source = a["self"], a["source"]
    axis = x.axis(a["dim"])
    if a.get("alpha", 1) != 1:
        source = combine(b, "Mul", source, a["alpha"])
    column = b.reshape(a["index"], [-1] + [1] * (x.rank - axis - 1))
    index = b.op("Expand", column, b.op("Shape", source), shape=source.shape, dtype="int64")
    return _scattered(b, {**a, "index": index}, source, "add")


def _scattered(b: Builder, a: Arguments, updates: Value, reduction: str | None) -> Value:
    x: Value = a["self"]
    return b.op(
        "ScatterElements", x, a["index"], b.cast(updates, x.dtype), axis=x.axis(a["dim"]), reduction=reduction,
        dtype=x.dtype, shape=x.shape,
    )  # fmt: skip


def _cut_to(b: Builder, source: Value, index: Value) -> Value:
    """As much of a source as there are places: torch leaves the rest unread."""
    if None not in source.shape and source.shape == index.shape:
        return source
    starts, axes = b.ints([0] * source.rank), b.ints(range(source.rank))
    return b.op("Slice", source, starts, b.op("Shape", index), axes, shape=index.shape, dtype=source.dtype)


SCATTERS: Mapping[str, Rule] = {
    "aten.select_scatter.default": _put_back_row,
    "aten.slice_scatter.default": _put_back_slice,
    "aten.scatter.src": _scatter(None),
    "aten.scatter.value": _scatter_number,
    "aten.scatter_add.default": _scatter("add"),
    "aten.scatter_reduce.two": _scatter_reduce,
    "aten.index_add.default": _index_add,
}
