"""Scaled dot-product attention, and the masks that go with it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sterna.export.onnx_graph.arithmetic import combine, operand_as
from sterna.export.onnx_graph.builder import Builder
from sterna.export.onnx_graph.values import Rule, Value

Arguments = Mapping[str, Any]


def _attention(b: Builder, a: Arguments) -> Value:
    """Write softmax(q kᵀ · scale + mask) v. q (…, l, e), k (…, s, e), v (…, s, w) → (…, l, w)."""
    query, key, value = a["query"], a["key"], a["value"]
    if a.get("enable_gqa"):
        raise b.refuse("with groups of queries for each key")
    order = [*range(key.rank - 2), key.rank - 1, key.rank - 2]
    scores = b.op("MatMul", _scaled(b, query, a.get("scale")), b.op("Transpose", key, perm=order))
    mask = a.get("attn_mask")
    if a.get("is_causal"):
        ones = b.op("Expand", b.const(np.array(True)), b.vector([b.size(query, -2), b.size(key, -2)]))
        ones = Value(ones.name, "bool", (query.shape[-2], key.shape[-2]))
        mask = b.op("Trilu", ones, upper=0, dtype="bool", shape=ones.shape)
    if mask is not None and mask.dtype == "bool":
        scores = b.op("Where", mask, scores, operand_as(b, -math.inf, scores.dtype))
    elif mask is not None:
        scores = combine(b, "Add", scores, mask)
    return b.op("MatMul", b.op("Softmax", scores, axis=-1), value)


def _scaled(b: Builder, query: Value, scale: float | None) -> Value:
    """Write query · scale, which is 1 / √e where it is not given."""
    width = b.size(query, -1)
    if scale is None and isinstance(width, int):
        scale = 1 / math.sqrt(width)
    if scale is not None:
        return combine(b, "Mul", query, scale)
    assert isinstance(width, Value)
    return b.op("Div", query, b.op("Sqrt", b.cast(width, query.dtype)))


def _triangle(*, upper: bool) -> Rule:
    def write(b: Builder, a: Arguments) -> Value:
        x: Value = a["self"]
        diagonal = b.scalar(a.get("diagonal", 0), "int64")
        if x.dtype != "bool":
            return b.op("Trilu", x, diagonal, upper=int(upper), dtype=x.dtype, shape=x.shape)
        return b.op("Trilu", x, diagonal, upper=int(upper), dtype="bool", shape=x.shape)

    return write


ATTENTION: Mapping[str, Rule] = {
    "aten.scaled_dot_product_attention.default": _attention,
    "aten.tril.default": _triangle(upper=False),
    "aten.triu.default": _triangle(upper=True),
}
