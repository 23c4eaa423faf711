"""ONNX's attention, which is one operator since opset 23, as torch's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sterna.errors import ModelCorrupt
from sterna.graph import Argument
from sterna.intake.onnx.call import Call, Converter
from sterna.intake.onnx.values import Computed, Value
from sterna.intake.onnx.wire import HINT

_PAST: Final = (4, 5, 6)
_BY_HEADS: Final = (0, 2, 1, 3)
"""(batch, steps, heads, features) as (batch, heads, steps, features), and back."""


def _attention(call: Call) -> Value:
    """Of four axes, (batch, heads, steps, features); or of three, where the heads lie side by side in the features."""
    if any(call.given(index) is not None for index in _PAST):
        raise call.refuse("it is given keys and values of steps before")
    if call.attributes.number("softcap", 0.0):
        raise call.refuse("it caps what goes into softmax")
    call.attributes.ignore("qk_matmul_output_mode", "softmax_precision")
    heads = [call.attributes.integer(name, 0) for name in ("q_num_heads", "kv_num_heads", "kv_num_heads")]
    flat = call.rank(call.input(0)) == 3
    query, key, value = (_with_heads(call, call.input(at), heads[at]) if flat else call.input(at) for at in range(3))
    made = _attended(call, query, key, value)
    return _without_heads(call, made) if flat else made


def _attended(call: Call, query: Value, key: Value, value: Value) -> Computed:
    if any(call.rank(one) != 4 for one in (query, key, value)):
        raise ModelCorrupt("Attention is given other than three or four axes", hint=HINT)
    mask, causal = call.given(3), bool(call.attributes.integer("is_causal", 0))
    if mask is not None and causal:
        raise call.refuse("it has a mask and is causal as well")
    tensor = call.graph.tensor
    arguments: dict[str, Argument] = {"query": tensor(query), "key": tensor(key), "value": tensor(value)}
    if mask is not None:
        arguments["attn_mask"] = tensor(mask)
    if causal:
        arguments["is_causal"] = True
    if call.attributes.has("scale"):
        arguments["scale"] = call.attributes.number("scale", 0.0)
    if call.graph.size(query, 1) != call.graph.size(key, 1):
        arguments["enable_gqa"] = True
    shape = None
    if query.shape is not None and value.shape is not None:
        shape = (*query.shape[:-1], value.shape[-1])
    return call.graph.emit("aten.scaled_dot_product_attention.default", query.dtype, shape, **arguments)


def _with_heads(call: Call, value: Value, heads: int) -> Computed:
    if heads < 1 or call.rank(value) != 3:
        raise ModelCorrupt("Attention does not say how many heads it has", hint=HINT)
    batch, steps, features = value.shape or (None, None, None)
    sizes = (call.graph.size(value, 0), call.graph.size(value, 1), heads, -1)
    each = None if features is None else features // heads
    split = call.graph.emit(
        "aten.reshape.default", value.dtype, (batch, steps, heads, each), self=call.graph.tensor(value), shape=sizes
    )
    shape = (batch, heads, steps, each)
    return call.graph.emit("aten.permute.default", value.dtype, shape, self=split.ref, dims=_BY_HEADS)


def _without_heads(call: Call, value: Computed) -> Computed:
    batch, heads, steps, features = value.shape or (None,) * 4
    moved = call.graph.emit(
        "aten.permute.default", value.dtype, (batch, steps, heads, features), self=value.ref, dims=_BY_HEADS
    )
    joined = None if heads is None or features is None else heads * features
    return call.graph.emit("aten.flatten.using_ints", value.dtype, (batch, steps, joined), self=moved.ref, start_dim=2)


ATTENTION: Final[Mapping[str, Converter]] = {"Attention": _attention}
