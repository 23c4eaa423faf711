"""Sums, means, extremes and spreads over axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sterna.export.onnx_graph.arithmetic import combine
from sterna.export.onnx_graph.builder import Builder
from sterna.export.onnx_graph.values import Rule, Size, Value
from sterna.graph import FLOATING

Arguments = Mapping[str, Any]


def axes_of(b: Builder, x: Value, dim: int | Sequence[int] | None) -> Value:
    """Axes counted from the first as a constant; none given means all."""
    if dim is None or (not isinstance(dim, int) and len(dim) == 0):
        return b.ints(range(x.rank))
    return b.ints(x.axis(axis) for axis in ([dim] if isinstance(dim, int) else dim))


def reduction(kind: str, *, sums: bool = False) -> Rule:
    """Write a reduction over `dim`, in the element type `dtype` where one is given."""

    def write(b: Builder, a: Arguments) -> Value:
        x: Value = a["self"]
        if a.get("dtype") is not None:
            x = b.cast(x, a["dtype"])
        elif sums and x.dtype not in FLOATING:
            x = b.cast(x, "int64")
        if x.rank == 0:
            return x
        return b.op(kind, x, axes_of(b, x, a.get("dim")), keepdims=int(a.get("keepdim", False)))

    return write


def _with_place(kind: str, place: str) -> Rule:
    """Write the extreme along one axis, and where it is."""

    def write(b: Builder, a: Arguments) -> tuple[Value, Value]:
        x: Value = a["self"]
        axis, keep = x.axis(a["dim"]), int(a.get("keepdim", False))
        return b.op(kind, x, b.ints([axis]), keepdims=keep), b.op(place, x, axis=axis, keepdims=keep)

    return write


def _variance(b: Builder, a: Arguments) -> Value:
    x: Value = a["self"]
    axes = axes_of(b, x, a.get("dim"))
    correction = 1 if a.get("correction") is None else a["correction"]
    given = a.get("dim")
    over = range(x.rank) if not given and given != 0 else [given] if isinstance(given, int) else given
    centred = b.op("Sub", x, b.op("ReduceMean", x, axes, keepdims=1))
    keep = int(a.get("keepdim", False))
    total = b.op("ReduceSum", b.op("Mul", centred, centred), axes, keepdims=keep)
    return b.op("Div", total, _freedom(b, [b.size(x, axis) for axis in over], correction, x.dtype))


def _freedom(b: Builder, sizes: Sequence[Size], correction: float, dtype: str) -> Value:
    known = math.prod(size for size in sizes if isinstance(size, int))
    count: Value = b.scalar(float(known), dtype)
    for size in sizes:
        if isinstance(size, Value):
            count = b.op("Mul", count, b.cast(size, dtype))
    return combine(b, "Sub", count, float(correction))


def _deviation(b: Builder, a: Arguments) -> Value:
    return b.op("Sqrt", _variance(b, a))


def _norm(b: Builder, a: Arguments) -> Value:
    order = a.get("ord", 2)
    if order in {1, 2}:
        return _reduced(reduction(f"ReduceL{int(order)}"), b, a)
    size = b.op("Abs", a["self"])
    if math.isinf(order):
        return _reduced(reduction("ReduceMax" if order > 0 else "ReduceMin"), b, {**a, "self": size})
    total = _reduced(reduction("ReduceSum"), b, {**a, "self": combine(b, "Pow", size, float(order))})
    return combine(b, "Pow", total, 1.0 / order)


def _reduced(rule: Rule, b: Builder, a: Arguments) -> Value:
    made = rule(b, a)
    assert isinstance(made, Value)
    return made


REDUCTIONS: Mapping[str, Rule] = {
    "aten.mean.default": reduction("ReduceMean"),
    "aten.mean.dim": reduction("ReduceMean"),
    "aten.sum.default": reduction("ReduceSum", sums=True),
    "aten.sum.dim_IntList": reduction("ReduceSum", sums=True),
    "aten.amax.default": reduction("ReduceMax"),
    "aten.amin.default": reduction("ReduceMin"),
    "aten.max.default": reduction("ReduceMax"),
    "aten.max.dim": _with_place("ReduceMax", "ArgMax"),
    "aten.min.dim": _with_place("ReduceMin", "ArgMin"),
    "aten.logsumexp.default": reduction("ReduceLogSumExp"),
    "aten.prod.default": reduction("ReduceProd", sums=True),
    "aten.prod.dim_int": reduction("ReduceProd", sums=True),
    "aten.var.correction": _variance,
    "aten.std.correction": _deviation,
    "aten.linalg_vector_norm.default": _norm,
}
