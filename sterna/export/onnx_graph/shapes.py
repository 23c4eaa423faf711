"""Reshaping, slicing, joining and padding; and the arithmetic on sizes that a batch of any length needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sterna.export.onnx_graph.arithmetic import operand_as
from sterna.export.onnx_graph.builder import Builder
from sterna.export.onnx_graph.normalisation import same
from sterna.export.onnx_graph.values import Made, Rule, Shape, Size, Value, result_dtype

Arguments = Mapping[str, Any]
LAST = 2**63 - 1


def _view(argument: str) -> Rule:
    return lambda b, a: b.reshape(a["self"], a[argument])


def _flatten(b: Builder, a: Arguments) -> Value:
    x: Value = a["self"]
    if x.rank == 0:
        return b.reshape(x, [1])
    start, end = x.axis(a.get("start_dim", 0)), x.axis(a.get("end_dim", -1))
    if start == end:
        return x
    return _regrouped(b, x, start, end + 1, [-1])


def _unflatten(b: Builder, a: Arguments) -> Value:
    x: Value = a["self"]
    axis = x.axis(a["dim"])
    return _regrouped(b, x, axis, axis + 1, list(a["sizes"]))


def _regrouped(b: Builder, x: Value, begin: int, end: int, sizes: list[Size]) -> Value:
    """The axes from `begin` to `end` in other sizes; those before are taken over (0), those after are written out."""
    after: list[Size] = [b.size(x, axis) for axis in range(end, x.rank)]
    wanted: list[Size] = [0] * begin + sizes + after
    target = b.vector(wanted)
    shape = (*x.shape[:begin], *map(_known, sizes), *map(_known, after))
    return b.op("Reshape", x, target, dtype=x.dtype, shape=_merged(x.shape[begin:end], shape))


def _known(size: Size) -> int | None:
    return size if isinstance(size, int) and size >= 0 else None


def _merged(axes: Shape, shape: Shape) -> Shape:
    """The sizes with the one that is missing, where it is the product of these axes and alone."""
    if shape.count(None) != 1 or None in axes:
        return shape
    whole = 1
    for size in axes:
        whole *= size or 0
    return tuple(whole if size is None else size for size in shape)


def _permuted(b: Builder, x: Value, order: Sequence[int]) -> Value:
    return b.op("Transpose", x, perm=[x.axis(axis) for axis in order])


def _permute(b: Builder, a: Arguments) -> Value:
    return _permuted(b, a["self"], a["dims"])


def _transpose(b: Builder, a: Arguments) -> Value:
    x: Value = a["self"]
    return _swapped(b, x, a["dim0"], a["dim1"])


def _last_two(b: Builder, a: Arguments) -> Value:
    x: Value = a["self"]
    return _swapped(b, x, -2, -1) if x.rank >= 2 else x


def _reversed(b: Builder, a: Arguments) -> Value:
    x: Value = a["self"]
    return _permuted(b, x, range(x.rank)[::-1])


def _swapped(b: Builder, x: Value, one: int, other: int) -> Value:
    order = list(range(x.rank))
    first, second = x.axis(one), x.axis(other)
    order[first], order[second] = order[second], order[first]
    return _permuted(b, x, order)


def _squeeze(b: Builder, a: Arguments) -> Value:
    x: Value = a["self"]
    given = a.get("dim", range(x.rank))
    axes = [x.axis(axis) for axis in ([given] if isinstance(given, int) else given)]
    axes = [axis for axis in axes if x.rank and x.shape[axis] == 1]
    return b.op("Squeeze", x, b.ints(axes)) if axes else x


def _unsqueeze(b: Builder, a: Arguments) -> Value:
    x: Value = a["self"]
    return b.op("Unsqueeze", x, b.ints([a["dim"] % (x.rank + 1)]))


def _split(b: Builder, x: Value, axis: int, sizes: Sequence[int]) -> tuple[Value, ...]:
    if len(sizes) == 1:
        return (x,)
    parts = b.ops("Split", x, b.ints(sizes), outputs=len(sizes), axis=axis)
    shapes = [tuple(size if index == axis else one for index, one in enumerate(x.shape)) for size in sizes]
    return tuple(Value(part.name, x.dtype, shape) for part, shape in zip(parts, shapes, strict=True))


def _chunk(b: Builder, a: Arguments) -> Sequence[Value]:
    x: Value = a["self"]
    axis = x.axis(a.get("dim", 0))
    whole = b.known_size(x, axis)
    return _split(b, x, axis, _pieces(whole, -(-whole // a["chunks"])))


def _split_evenly(b: Builder, a: Arguments) -> Sequence[Value]:
    x: Value = a["self"]
    axis = x.axis(a.get("dim", 0))
    return _split(b, x, axis, _pieces(b.known_size(x, axis), a["split_size"]))


def _split_with_sizes(b: Builder, a: Arguments) -> Sequence[Value]:
    x: Value = a["self"]
    sizes = a["split_sizes"]
    if not all(isinstance(size, int) for size in sizes):
        raise b.refuse("into pieces whose sizes follow from the inputs")
    return _split(b, x, x.axis(a.get("dim", 0)), sizes)


def _pieces(whole: int, size: int) -> list[int]:
    return [min(size, whole - begin) for begin in range(0, whole, size)]


def _unbind(b: Builder, a: Arguments) -> Sequence[Value]:
    x: Value = a["self"]
    axis = x.axis(a.get("dim", 0))
    count = b.known_size(x, axis)
    return tuple(b.op("Squeeze", part, b.ints([axis])) for part in _split(b, x, axis, [1] * count))


def _slice(b: Builder, a: Arguments) -> Value:
    x: Value = a["self"]
    axis = x.axis(a.get("dim", 0))
    start = 0 if a.get("start") is None else a["start"]
    end = LAST if a.get("end") is None else a["end"]
    step = a.get("step", 1)
    if (start, step) == (0, 1) and end == LAST:
        return x
    bounds = [b.vector([bound]) for bound in (start, end)]
    made = b.op("Slice", x, *bounds, b.ints([axis]), b.ints([step]))
    return Value(made.name, x.dtype, _sliced(x.shape, axis, (start, end, step)))


def _sliced(shape: Shape, axis: int, bounds: tuple[Size, Size, Size]) -> Shape:
    start, end, step = bounds
    whole = shape[axis]
    size = None
    if whole is not None and isinstance(start, int) and isinstance(end, int) and isinstance(step, int):
        size = len(range(whole)[start:end:step])
    return tuple(size if index == axis else one for index, one in enumerate(shape))


def _select(b: Builder, a: Arguments) -> Value:
    x: Value = a["self"]
    index = a["index"]
    place = index if isinstance(index, Value) else b.scalar(index, "int64")
    return b.op("Gather", x, place, axis=x.axis(a["dim"]))


def _expand(b: Builder, a: Arguments) -> Value:
    x: Value = a["self"]
    sizes = [1 if size == -1 else size for size in a["size"]]
    padded = (1,) * (len(sizes) - x.rank) + x.shape
    shape = tuple(
        own if size == 1 or own not in {1, None} else _known(size) for own, size in zip(padded, sizes, strict=True)
    )
    return b.op("Expand", x, b.vector(sizes), dtype=x.dtype, shape=shape)


def _like(kind: str) -> Rule:
    def write(b: Builder, a: Arguments) -> Value:
        x, other = a["self"], a["other"]
        return b.op(kind, x, b.op("Shape", other), dtype=x.dtype, shape=other.shape)

    return write


def _to(b: Builder, a: Arguments) -> Value:
    return b.cast(a["self"], a["dtype"])


def _cat(b: Builder, a: Arguments) -> Value:
    # torch leaves out what has one axis of size 0, whatever the others are.
    tensors = [x for x in a["tensors"] if x.shape != (0,)]
    if len(tensors) == 1:
        only: Value = tensors[0]
        return only
    return _joined(b, tensors, tensors[0].axis(a.get("dim", 0)))


def _joined(b: Builder, tensors: Sequence[Value], axis: int) -> Value:
    dtype = result_dtype(*tensors)
    return b.op("Concat", *(operand_as(b, x, dtype) for x in tensors), axis=axis)


def _stack(b: Builder, a: Arguments) -> Value:
    tensors = a["tensors"]
    axis = a.get("dim", 0) % (tensors[0].rank + 1)
    return _joined(b, [b.op("Unsqueeze", x, b.ints([axis])) for x in tensors], axis)


def _repeat(b: Builder, a: Arguments) -> Value:
    x: Value = a["self"]
    repeats = a["repeats"]
    if len(repeats) > x.rank:
        x = b.op("Unsqueeze", x, b.ints(range(len(repeats) - x.rank)))
    shape = tuple(
        size * times if size is not None and isinstance(times, int) else None
        for size, times in zip(x.shape, repeats, strict=True)
    )
    return b.op("Tile", x, b.vector(repeats), dtype=x.dtype, shape=shape)


def _flip(b: Builder, a: Arguments) -> Value:
    x: Value = a["self"]
    axes = [x.axis(axis) for axis in a["dims"]]
    if not axes:
        return x
    ones = [-1] * len(axes)
    inputs = (b.ints(ones), b.ints([-LAST] * len(axes)), b.ints(axes), b.ints(ones))
    return b.op("Slice", x, *inputs, dtype=x.dtype, shape=x.shape)


def _pad(b: Builder, a: Arguments) -> Value:
    x: Value = a["self"]
    mode = _PAD_MODES[a.get("mode") or "constant"]
    given = list(a["pad"])
    pairs = [tuple(given[index : index + 2]) for index in range(0, len(given), 2)]
    pairs += [(0, 0)] * (x.rank - len(pairs))
    begins, ends = ([pair[side] for pair in reversed(pairs)] for side in (0, 1))
    value = b.scalar(a.get("value") or 0, x.dtype) if mode == "constant" else None
    shape = tuple(
        size + begin + end if size is not None and isinstance(begin, int) and isinstance(end, int) else None
        for size, begin, end in zip(x.shape, begins, ends, strict=True)
    )
    return b.op("Pad", x, b.vector([*begins, *ends]), value, mode=mode, dtype=x.dtype, shape=shape)


_PAD_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def _size(b: Builder, a: Arguments) -> Made:
    return b.size(a["self"], a["dim"])


def _integers(kind: str) -> Rule:
    """Write arithmetic on sizes, done at once where all are numbers."""

    def write(b: Builder, a: Arguments) -> Made:
        one, other = a["a"], a["b"]
        if isinstance(one, int) and isinstance(other, int):
            return _NUMBERS[kind](one, other)
        operands = [item if isinstance(item, Value) else b.scalar(item, "int64") for item in (one, other)]
        return b.op(kind, *operands, dtype="int64", shape=())  # sizes are not negative: Div is a floor

    return write


def _negated(b: Builder, a: Arguments) -> Made:
    size = a["a"]
    return -size if isinstance(size, int) else b.op("Neg", size, dtype="int64", shape=())


_NUMBERS: Mapping[str, Callable[[int, int], int]] = {
    "Add": int.__add__,
    "Sub": int.__sub__,
    "Mul": int.__mul__,
    "Div": int.__floordiv__,
    "Mod": int.__mod__,
}

SHAPES: Mapping[str, Rule] = {
    "aten.view.default": _view("size"),
    "aten.reshape.default": _view("shape"),
    "aten.flatten.using_ints": _flatten,
    "aten.unflatten.int": _unflatten,
    "aten.permute.default": _permute,
    "aten.transpose.int": _transpose,
    "aten.t.default": _reversed,
    "aten.numpy_T.default": _reversed,
    "aten.mT.default": _last_two,
    "aten.squeeze.default": _squeeze,
    "aten.squeeze.dim": _squeeze,
    "aten.squeeze.dims": _squeeze,
    "aten.unsqueeze.default": _unsqueeze,
    "aten.chunk.default": _chunk,
    "aten.split.Tensor": _split_evenly,
    "aten.split_with_sizes.default": _split_with_sizes,
    "aten.unbind.int": _unbind,
    "aten.slice.Tensor": _slice,
    "aten.select.int": _select,
    "aten.expand.default": _expand,
    "aten.expand_as.default": _like("Expand"),
    "aten.view_as.default": _like("Reshape"),
    "aten.contiguous.default": same,
    "aten.detach.default": same,
    "aten.alias.default": same,
    "aten.to.dtype": _to,
    "aten.clone.default": same,
    "aten.lift_fresh_copy.default": same,
    "aten.cat.default": _cat,
    "aten.stack.default": _stack,
    "aten.repeat.default": _repeat,
    "aten.flip.default": _flip,
    "aten.pad.default": _pad,
    "aten.constant_pad_nd.default": _pad,
    "aten.sym_size.int": _size,
    "int.add": _integers("Add"),
    "int.sub": _integers("Sub"),
    "int.mul": _integers("Mul"),
    "int.floordiv": _integers("Div"),
    "int.mod": _integers("Mod"),
    "int.neg": _negated,
}
