"""Choosing and making elements: gathering, the greatest few, running sums, constants of a computed size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sterna.export.onnx_graph.arithmetic import combine, operand_as
from sterna.export.onnx_graph.builder import Builder
from sterna.export.onnx_graph.reductions import REDUCTIONS, axes_of
from sterna.export.onnx_graph.shapes import LAST, SHAPES
from sterna.export.onnx_graph.values import Made, Rule, Shape, Size, Value
from sterna.graph import FLOATING

Arguments = Mapping[str, Any]


def _gather_elements(b: Builder, a: Arguments) -> Value:
    x: Value = a["self"]
    return b.op("GatherElements", x, a["index"], axis=x.axis(a["dim"]))


def _index_select(b: Builder, a: Arguments) -> Value:
    x: Value = a["self"]
    return b.op("Gather", x, a["index"], axis=x.axis(a["dim"]))


def _index(b: Builder, a: Arguments) -> Value:
    """Write x[:, …, indices, …] where one axis is indexed, by whole numbers."""
    x: Value = a["self"]
    given = [(axis, index) for axis, index in enumerate(a["indices"]) if index is not None]
    if len(given) != 1 or given[0][1].dtype == "bool":
        raise b.refuse("by a mask, or along several axes")
    axis, index = given[0]
    return b.op("Gather", x, index, axis=axis)


def _top(b: Builder, a: Arguments, count: Size, *, largest: bool) -> tuple[Value, ...]:
    x: Value = a["self"]
    axis = x.axis(a.get("dim", -1))
    made = b.ops("TopK", x, b.vector([count]), outputs=2, axis=axis, largest=int(largest), sorted=1, dtype=x.dtype,
                 shape=_with_size(x.shape, axis, count))  # fmt: skip
    return made[0], Value(made[1].name, "int64", made[1].shape)


def _topk(b: Builder, a: Arguments) -> tuple[Value, ...]:
    return _top(b, a, a["k"], largest=a.get("largest", True))


def _sort(b: Builder, a: Arguments) -> tuple[Value, ...]:
    x: Value = a["self"]
    return _top(b, a, b.size(x, a.get("dim", -1)), largest=a.get("descending", False))


def _argsort(b: Builder, a: Arguments) -> Value:
    return _sort(b, a)[1]


def _with_size(shape: Shape, axis: int, size: Size) -> Shape:
    return tuple((size if isinstance(size, int) else None) if at == axis else one for at, one in enumerate(shape))


def _place(kind: str) -> Rule:
    """Write the place of the extreme along an axis, or in all elements in a row."""

    def write(b: Builder, a: Arguments) -> Value:
        x: Value = a["self"]
        if a.get("dim") is None:
            if a.get("keepdim"):
                raise b.refuse("over all axes that are kept")
            return b.op(kind, b.reshape(x, [-1]), axis=0, keepdims=0)
        return b.op(kind, x, axis=x.axis(a["dim"]), keepdims=int(a.get("keepdim", False)))

    return write


def _cumulated(b: Builder, a: Arguments) -> Value:
    x: Value = a["self"]
    if a.get("dtype") is not None:
        x = b.cast(x, a["dtype"])
    elif x.dtype not in FLOATING:
        x = b.cast(x, "int64")
    return b.op("CumSum", x, b.scalar(x.axis(a["dim"]), "int64"), dtype=x.dtype, shape=x.shape)


def _quantified(kind: str) -> Rule:
    """Write "all" or "any": the least or the greatest truth value."""

    def write(b: Builder, a: Arguments) -> Value:
        x = b.cast(b.cast(a["self"], "bool"), "int32")
        made = b.op(kind, x, axes_of(b, x, a.get("dim")), keepdims=int(a.get("keepdim", False)))
        return b.cast(made, "bool")

    return write


def _spread(kind: str, *, mean: bool) -> Rule:
    """Write a variance or deviation whose correction is 1 where `unbiased` says so, and the mean with it."""

    def write(b: Builder, a: Arguments) -> Made:
        correction = a["correction"] if "correction" in a else int(a.get("unbiased", True))
        spread = REDUCTIONS[f"aten.{kind}.correction"](b, {**a, "correction": correction})
        if not mean:
            return spread
        middle = REDUCTIONS["aten.mean.dim"](b, a)
        assert isinstance(spread, Value)
        assert isinstance(middle, Value)
        return spread, middle

    return write


def _filled(b: Builder, sizes: Sequence[Size], number: float, dtype: str) -> Value:
    shape = tuple(size if isinstance(size, int) else None for size in sizes)
    return b.op("Expand", b.scalar(number, dtype), b.vector(sizes), dtype=dtype, shape=shape)


def _make(number: float | None) -> Rule:
    """Write a tensor of one number, of the sizes and the element type that are given."""

    def write(b: Builder, a: Arguments) -> Value:
        value = a["fill_value"] if number is None else number
        default = (
            "bool" if isinstance(value, bool) else "int64" if isinstance(value, int) and number is None else "float32"
        )
        like = a["self"].dtype if "self" in a else default
        return _filled(b, a["size"], value, a.get("dtype") or like)

    return write


def _like(number: float | None) -> Rule:
    def write(b: Builder, a: Arguments) -> Value:
        x: Value = a["self"]
        value = a["fill_value"] if number is None else number
        dtype = a.get("dtype") or x.dtype
        return b.op("Expand", b.scalar(value, dtype), b.op("Shape", x), dtype=dtype, shape=x.shape)

    return write


def _scalar(b: Builder, a: Arguments) -> Value:
    return operand_as(b, a["s"], a.get("dtype") or "float32")


def _range(b: Builder, a: Arguments) -> Value:
    numbers = (a.get("start", 0), a["end"], a.get("step", 1))
    whole = all(isinstance(number, Value | int) for number in numbers)
    dtype = a.get("dtype") or ("int64" if whole else "float32")
    shape: Shape = (None,)
    if all(isinstance(number, int) for number in numbers):
        shape = (len(range(*numbers)),)
    return b.op("Range", *(operand_as(b, number, dtype) for number in numbers), dtype=dtype, shape=shape)


def _moved(b: Builder, a: Arguments) -> Value:
    x: Value = a["self"]
    sources, targets = ([given] if isinstance(given, int) else given for given in (a["source"], a["destination"]))
    at = {x.axis(target): x.axis(source) for source, target in zip(sources, targets, strict=True)}
    rest = iter(axis for axis in range(x.rank) if axis not in at.values())
    return b.op("Transpose", x, perm=[at[place] if place in at else next(rest) for place in range(x.rank)])


def _rolled(b: Builder, a: Arguments) -> Value:
    x: Value = a["self"]
    if not a.get("dims"):
        raise b.refuse("over all axes in a row")
    for shift, dim in zip(a["shifts"], a["dims"], strict=True):
        axis = x.axis(dim)
        if not isinstance(shift, int):
            raise b.refuse("by a size that follows from the inputs")
        size = x.shape[axis]
        by = shift % size if size is not None else shift
        if by == 0:
            continue
        parts = [b.op("Slice", x, b.ints([begin]), b.ints([end]), b.ints([axis])) for begin, end in
                 ((-by, LAST), (0, -by))]  # fmt: skip
        made = b.op("Concat", *parts, axis=axis)
        x = Value(made.name, x.dtype, x.shape)
    return x


def _narrow(b: Builder, a: Arguments) -> Value:
    start, length = a["start"], a["length"]
    if not isinstance(start, int) or not isinstance(length, int):
        raise b.refuse("at a place that follows from the inputs")
    made = SHAPES["aten.slice.Tensor"](b, {**a, "end": LAST if start < 0 and start + length == 0 else start + length})
    assert isinstance(made, Value)
    return made


def _tiled(b: Builder, a: Arguments) -> Value:
    x: Value = a["self"]
    made = SHAPES["aten.repeat.default"](b, {**a, "repeats": [1] * (x.rank - len(a["dims"])) + list(a["dims"])})
    assert isinstance(made, Value)
    return made


def _sectioned(b: Builder, a: Arguments) -> Made:
    x: Value = a["self"]
    whole, sections = b.known_size(x, a.get("dim", 0)), a["sections"]
    sizes = [whole // sections + (index < whole % sections) for index in range(sections)]
    return SHAPES["aten.split_with_sizes.default"](b, {**a, "split_sizes": sizes})


def _split_sizes(b: Builder, a: Arguments) -> Made:
    return SHAPES["aten.split_with_sizes.default"](b, {**a, "split_sizes": a["split_size"]})


def _swapped(b: Builder, a: Arguments) -> Made:
    return SHAPES["aten.transpose.int"](b, {**a, "dim0": a["axis0"], "dim1": a["axis1"]})


def _elements(b: Builder, a: Arguments) -> Made:
    x: Value = a["self"]
    count: Size = 1
    for axis in range(x.rank):
        made = SHAPES["int.mul"](b, {"a": count, "b": b.size(x, axis)})
        assert isinstance(made, int | Value)
        count = made
    return count


def _extreme(kind: str, choose: Any) -> Rule:  # noqa: ANN401
    def write(b: Builder, a: Arguments) -> Made:
        if isinstance(a["a"], int) and isinstance(a["b"], int):
            return int(choose(a["a"], a["b"]))
        return combine(b, kind, a["a"], a["b"])

    return write


def _counted(b: Builder, a: Arguments) -> Value:
    x = b.cast(b.cast(a["self"], "bool"), "int64")
    return b.op("ReduceSum", x, axes_of(b, x, a.get("dim")), keepdims=0)


def _outer(b: Builder, a: Arguments) -> Value:
    return combine(b, "Mul", b.op("Unsqueeze", a["self"], b.ints([1])), a["vec2"])


INDEXING: Mapping[str, Rule] = {
    "aten.gather.default": _gather_elements,
    "aten.index_select.default": _index_select,
    "aten.index.Tensor": _index,
    "aten.topk.default": _topk,
    "aten.sort.default": _sort,
    "aten.sort.stable": _sort,
    "aten.argsort.default": _argsort,
    "aten.argmax.default": _place("ArgMax"),
    "aten.argmin.default": _place("ArgMin"),
    "aten.cumsum.default": _cumulated,
    **{f"aten.all.{form}": _quantified("ReduceMin") for form in ("default", "dim", "dims")},
    **{f"aten.any.{form}": _quantified("ReduceMax") for form in ("default", "dim", "dims")},
    **{f"aten.{kind}.{form}": _spread(kind, mean=False) for kind in ("var", "std") for form in ("default", "dim")},
    **{
        f"aten.{kind}_mean.{form}": _spread(kind, mean=True)
        for kind in ("var", "std")
        for form in ("correction", "dim")
    },
    "aten.min.default": REDUCTIONS["aten.amin.default"],
    "aten.norm.Scalar": lambda b, a: REDUCTIONS["aten.linalg_vector_norm.default"](b, {**a, "ord": a.get("p", 2)}),
    "aten.norm.ScalarOpt_dim": lambda b, a: REDUCTIONS["aten.linalg_vector_norm.default"](
        b, {**a, "ord": 2 if a.get("p") is None else a["p"]}
    ),
    "aten.zeros.default": _make(0.0),
    "aten.ones.default": _make(1.0),
    "aten.full.default": _make(None),
    "aten.new_zeros.default": _make(0.0),
    "aten.new_ones.default": _make(1.0),
    "aten.new_full.default": _make(None),
    "aten.zeros_like.default": _like(0.0),
    "aten.ones_like.default": _like(1.0),
    "aten.full_like.default": _like(None),
    "aten.scalar_tensor.default": _scalar,
    **{f"aten.arange.{form}": _range for form in ("default", "start", "start_step")},
    "aten.movedim.int": _moved,
    "aten.movedim.intlist": _moved,
    "aten.roll.default": _rolled,
    "aten.narrow.default": _narrow,
    "aten.tile.default": _tiled,
    "aten.tensor_split.sections": _sectioned,
    "aten.split.sizes": _split_sizes,
    "aten.swapaxes.default": _swapped,
    "aten.swapdims.default": SHAPES["aten.transpose.int"],
    "aten.broadcast_to.default": SHAPES["aten.expand.default"],
    "aten.concat.default": SHAPES["aten.cat.default"],
    "aten.reshape_as.default": SHAPES["aten.view_as.default"],
    "aten.to.dtype_layout": lambda b, a: b.cast(a["self"], a.get("dtype") or a["self"].dtype),
    "aten.sym_numel.default": _elements,
    "aten.count_nonzero.default": _counted,
    "aten.count_nonzero.dim_IntList": _counted,
    "aten.outer.default": _outer,
    "int.max": _extreme("Max", max),
    "int.min": _extreme("Min", min),
}
