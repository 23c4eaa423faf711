"""ONNX operators that read and write single elements at indices, and those that make indices: sorting, one-hot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from sterna.errors import ModelCorrupt
from sterna.graph import Argument, Dtype, ValueRef
from sterna.graph.check import MAX_INTEGER, MAX_LIST
from sterna.intake.onnx.call import Call, Converter
from sterna.intake.onnx.known import as_value, known_array
from sterna.intake.onnx.tensors import element_type
from sterna.intake.onnx.values import Computed, Size, Value, resized
from sterna.intake.onnx.wire import HINT

_REDUCTIONS: Final[Mapping[str, str]] = {"mul": "prod", "min": "amin", "max": "amax"}


def _gather_elements(call: Call) -> Value:
    value, index, axis = call.input(0), call.input(1), call.attributes.integer("axis", 0)
    at = _from_the_start(call, index, call.graph.size(value, axis))
    return call.graph.emit(
        "aten.gather.default", value.dtype, index.shape, self=call.graph.tensor(value), dim=axis, index=at
    )


def _scatter_elements(call: Call) -> Value:
    value, index, axis = call.input(0), call.input(1), call.attributes.integer("axis", 0)
    reduction = call.attributes.text("reduction", "none")
    folded = _fold_scatter(call) if reduction == "none" else None
    if folded is not None:
        return folded
    at = _from_the_start(call, index, call.graph.size(value, axis))
    arguments: dict[str, Argument] = {"dim": axis, "index": at, "src": call.graph.tensor(call.input(2))}
    if reduction in _REDUCTIONS:
        arguments |= {"reduce": _REDUCTIONS[reduction], "include_self": True}
    elif reduction not in {"none", "add"}:
        raise call.refuse(f"it reduces by {reduction!r}")
    plain = "aten.scatter_add.default" if reduction == "add" else "aten.scatter.src"
    operator = "aten.scatter_reduce.two" if reduction in _REDUCTIONS else plain
    return call.like(operator, value, self=call.graph.tensor(value), **arguments)


def _fold_scatter(call: Call) -> Value | None:
    """Into a vector that is known, as exporters put a size into a shape."""
    value, index, updates = (known_array(call.input(at)) for at in range(3))
    if value is None or index is None or updates is None or value.ndim != 1 or index.dtype == object:
        return None
    places = index.reshape(-1).astype(np.int64)
    if places.size != updates.size or not ((-value.size <= places) & (places < value.size)).all():
        return None
    call.graph.work(value.size)
    made = value.astype(object)
    made[places] = updates.reshape(-1)
    return as_value(made, call.input(0).dtype)


def _from_the_start(call: Call, index: Value, size: Size) -> Argument:
    """Indices as torch's gather and scatter take them, which count from the start alone."""
    known = known_array(index)
    at = _as_int64(call, index)
    if known is not None and known.dtype != object and (known >= 0).all():
        return at
    return call.graph.emit("aten.remainder.Scalar", "int64", index.shape, self=at, other=size).ref


def _as_int64(call: Call, index: Value) -> Argument:
    tensor = call.graph.tensor(index)
    if index.dtype == "int64":
        return tensor
    return call.graph.emit("aten.to.dtype", "int64", index.shape, self=tensor, dtype=Dtype("int64")).ref


def _gather_nd(call: Call) -> Value:
    """Each row of the last axis of the indices is a place in the first axes of the value, after those of the batch."""
    value, index = call.input(0), call.input(1)
    batch = call.attributes.integer("batch_dims", 0)
    if not 0 <= batch < call.rank(index):
        raise ModelCorrupt(f"GatherND has {batch} axes of the batch", hint=HINT)
    columns = _columns(call, index, call.rank(value) - batch)
    places = tuple(_along_batch(call, value, index, axis) for axis in range(batch)) + columns
    shape = None
    if value.shape is not None and index.shape is not None:
        shape = (*index.shape[:-1], *value.shape[len(places) :])
    return call.graph.emit("aten.index.Tensor", value.dtype, shape, self=call.graph.tensor(value), indices=places)


def _along_batch(call: Call, value: Value, index: Value, axis: int) -> Argument:
    """0, 1, 2, … along an axis of the batch, with axes of size 1 up to the number that each index has."""
    return _upright(call, _counted(call, call.graph.size(value, axis)), axis, call.rank(index) - 1)


def _counted(call: Call, size: Size) -> Argument:
    made = call.graph.emit("aten.arange.start_step", "int64", (None,), start=0, end=size, step=1, dtype=Dtype("int64"))
    return made.ref


def _columns(call: Call, index: Value, most: int) -> tuple[Argument, ...]:
    """The indices of each axis, which lie side by side in the last axis, for at most so many axes."""
    count = index.shape[-1] if index.shape else None
    if not count:
        raise call.refuse("how many axes its indices are for is not known")
    if count > most:
        raise ModelCorrupt(f"{call.operator} has indices for {count} axes of {most}", hint=HINT)
    shape = index.shape[:-1] if index.shape else None
    tensor = _as_int64(call, index)
    columns = call.graph.emit_several("aten.unbind.int", [("int64", shape)] * count, self=tensor, dim=-1)
    return tuple(column.ref for column in columns)


def _scatter_nd(call: Call) -> Value:
    value, index = call.input(0), call.input(1)
    reduction = call.attributes.text("reduction", "none")
    if reduction not in {"none", "add"}:
        raise call.refuse(f"it reduces by {reduction!r}")
    folded = _fold_scatter(call) if reduction == "none" else None
    if folded is not None:
        return folded
    places, updates = _columns(call, index, call.rank(value)), call.graph.tensor(call.input(2))
    return call.like(
        "aten.index_put.default",
        value,
        self=call.graph.tensor(value),
        indices=places,
        values=updates,
        accumulate=reduction == "add",
    )


def _top_k(call: Call) -> tuple[Value, ...]:
    """A stable sort, since of equal elements those that come first are wanted, which torch's topk does not promise."""
    value, axis = call.input(0), call.attributes.integer("axis", -1)
    largest = bool(call.attributes.integer("largest", 1))
    call.attributes.ignore("sorted")
    counts: tuple[Size, ...] | None = (call.attributes.integer("k", 0),) if call.opset < 10 else call.sizes(1)
    if counts is None or len(counts) != 1:
        raise ModelCorrupt("TopK does not say how many", hint=HINT)
    tensor = call.graph.tensor(value)
    ordered = call.graph.emit_several(
        "aten.sort.stable",
        [(value.dtype, value.shape), ("int64", value.shape)],
        self=tensor,
        stable=True,
        dim=axis,
        descending=largest,
    )
    shape = resized(value.shape, axis, counts[0])
    return tuple(
        call.graph.emit("aten.slice.Tensor", one.dtype, shape, self=one.ref, dim=axis, start=0, end=counts[0], step=1)
        for one in ordered
    )


def _one_hot(call: Call) -> Value:
    """Where the index is the number of the place; it is widened first, which is bounded when it runs."""
    index, depth = call.input(0), _depth(call)
    rank = call.rank(index) + 1
    axis = call.axis(call.attributes.integer("axis", -1), rank)
    folded = _fold_one_hot(call, depth, axis)
    if folded is not None:
        return folded
    sizes = tuple(depth if place == axis else -1 for place in range(rank))
    at = call.graph.emit("aten.unsqueeze.default", "int64", None, self=_wrapped(call, index, depth), dim=axis).ref
    wide = call.graph.emit("aten.expand.default", "int64", None, self=at, size=sizes).ref
    numbers = _upright(call, _counted(call, depth), axis, rank)
    shape = None
    if index.shape is not None:
        shape = (*index.shape[:axis], depth if isinstance(depth, int) else None, *index.shape[axis:])
    hot = call.graph.emit("aten.eq.Tensor", "bool", shape, self=wide, other=numbers).ref
    off, on = (_element(call, call.input(2), place) for place in (0, 1))
    return call.graph.emit("aten.where.self", call.input(2).dtype, shape, condition=hot, self=on, other=off)


def _wrapped(call: Call, index: Value, depth: Size) -> Argument:
    """Indices that count from the end where they are negative; those beyond both ends stay beyond them."""
    at = _as_int64(call, index)
    negative = call.graph.emit("aten.lt.Scalar", "bool", index.shape, self=at, other=0).ref
    moved = call.graph.emit("aten.add.Tensor", "int64", index.shape, self=at, other=depth).ref
    return call.graph.emit("aten.where.self", "int64", index.shape, condition=negative, self=moved, other=at).ref


def _upright(call: Call, vector: Argument, axis: int, rank: int) -> Argument:
    """A vector along one axis of several, of which the others have size 1."""
    shape = tuple(-1 if at == axis else 1 for at in range(rank))
    return call.graph.emit("aten.reshape.default", "int64", None, self=vector, shape=shape).ref


def _fold_one_hot(call: Call, depth: Size, axis: int) -> Value | None:
    """Whole numbers and sizes, of which exporters make how often a tensor is repeated along which axis."""
    index, values = known_array(call.input(0)), known_array(call.input(2))
    if index is None or values is None or not isinstance(depth, int) or index.dtype == object:
        return None
    if not 0 <= index.size * depth <= MAX_LIST or values.size != 2:
        return None
    call.graph.work(index.size * depth)
    index = index.astype(np.int64)
    hot = np.expand_dims(np.where(index < 0, index + depth, index), axis)
    places = np.arange(depth).reshape([-1 if at == axis else 1 for at in range(hot.ndim)])
    return as_value(values[(hot == places).astype(int)], call.input(2).dtype)


def _depth(call: Call) -> Size:
    """How many places there are; a float where the file likes."""
    items = call.graph.items(call.input(1))
    if items is None or len(items.elements) != 1:
        raise call.refuse("how many places it has is computed from data")
    depth = items.elements[0]
    if isinstance(depth, ValueRef):
        return depth
    if not 0 <= depth <= MAX_INTEGER:
        raise ModelCorrupt(f"OneHot has {depth} places", hint=HINT)
    return int(depth)


def _element(call: Call, value: Value, place: int) -> Argument:
    return call.graph.emit("aten.select.int", value.dtype, (), self=call.graph.tensor(value), dim=0, index=place).ref


def _non_zero(call: Call) -> Value:
    """Of known elements, and of a vector that is full, as exporters write 0, 1, 2, …: what else it finds is data."""
    value = call.input(0)
    known = known_array(value)
    if known is not None and known.dtype != object and known.ndim > 0:
        call.graph.work(known.size)
        return as_value(np.array(np.nonzero(known)), "int64")
    if isinstance(value, Computed) and value.full is not None:
        numbers = _counted(call, value.full)
        return call.graph.emit("aten.unsqueeze.default", "int64", (1, None), self=numbers, dim=0)
    raise call.refuse("how many elements it finds depends on data")


def _eye_like(call: Call) -> Value:
    """1 where the column is the row and k more, else 0."""
    value, diagonal = call.input(0), call.attributes.integer("k", 0)
    if call.rank(value) != 2:
        raise ModelCorrupt("EyeLike is given no matrix", hint=HINT)
    dtype = value.dtype
    if call.attributes.has("dtype"):
        dtype = element_type(call.attributes.integer("dtype", 0), "the result of EyeLike")
    rows = call.graph.emit(
        "aten.arange.start_step",
        "int64",
        (None,),
        start=diagonal,
        end=call.graph.calculate("add", call.graph.size(value, 0), diagonal),
        step=1,
        dtype=Dtype("int64"),
    )
    rows = call.graph.emit("aten.unsqueeze.default", "int64", None, self=rows.ref, dim=1)
    columns = _counted(call, call.graph.size(value, 1))
    same = call.graph.emit("aten.eq.Tensor", "bool", value.shape, self=rows.ref, other=columns)
    return call.graph.emit("aten.to.dtype", dtype, value.shape, self=same.ref, dtype=Dtype(dtype))


def _reverse_sequence(call: Call) -> Value:
    """Of each sample the first so many steps are turned round, and the others stay."""
    value, lengths = call.input(0), call.input(1)
    rank, time = call.rank(value), call.attributes.integer("time_axis", 0)
    batch = call.attributes.integer("batch_axis", 1)
    if rank < 2 or {time, batch} != {0, 1}:
        raise ModelCorrupt("ReverseSequence is not over its first two axes", hint=HINT)
    length = _upright(call, _as_int64(call, lengths), batch, rank)
    steps = _upright(call, _counted(call, call.graph.size(value, time)), time, rank)
    sizes = tuple(call.graph.size(value, axis) for axis in range(rank))
    turned = _turned(call, length, steps)
    at = call.graph.emit("aten.expand.default", "int64", value.shape, self=turned, size=sizes).ref
    return call.like("aten.gather.default", value, self=call.graph.tensor(value), dim=time, index=at)


def _turned(call: Call, length: Argument, steps: Argument) -> Argument:
    """Step length − 1 − t for step t below the length, else t."""
    emit = call.graph.emit
    left = emit("aten.sub.Tensor", "int64", None, self=length, other=steps).ref
    turned = emit("aten.sub.Tensor", "int64", None, self=left, other=1).ref
    within = emit("aten.ge.Scalar", "bool", None, self=turned, other=0).ref
    return emit("aten.where.self", "int64", None, condition=within, self=turned, other=steps).ref


INDEXED: Final[Mapping[str, Converter]] = {
    "EyeLike": _eye_like,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "NonZero": _non_zero,
    "OneHot": _one_hot,
    "ReverseSequence": _reverse_sequence,
    "Scatter": _scatter_elements,
    "ScatterElements": _scatter_elements,
    "ScatterND": _scatter_nd,
    "TopK": _top_k,
}
