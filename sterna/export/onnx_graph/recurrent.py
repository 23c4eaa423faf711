"""Recurrent layers, whose gates ONNX has in another order than torch.

| layer | torch | ONNX |
|---|---|---|
| LSTM | i f g o | i o f g |
| GRU | r z n | z r n, with the bias of n applied before the reset |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sterna.export.onnx_graph.builder import Builder
from sterna.export.onnx_graph.values import Rule, Value

Arguments = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Kind:
    """A sort of recurrent layer: its ONNX operator, which gate of torch's comes where, what goes with it."""

    name: str
    gates: tuple[int, ...]
    attributes: Mapping[str, Any]

    @property
    def states(self) -> int:
        return 2 if self.name == "LSTM" else 1


def _layers(kind: _Kind) -> Rule:
    def write(b: Builder, a: Arguments) -> tuple[Value, ...]:
        x: Value = a["input"]
        if x.rank != 3:
            raise b.refuse("of one sample without a batch")
        directions = 2 if a["bidirectional"] else 1
        hx = a["hx"] if isinstance(a["hx"], list) else [a["hx"]]
        per_direction = 4 if a["has_biases"] else 2
        if len(a["params"]) != per_direction * directions * a["num_layers"]:
            raise b.refuse("with projections")
        if a["batch_first"]:
            x = b.op("Transpose", x, perm=[1, 0, 2])
        last: list[list[Value]] = []
        for layer in range(a["num_layers"]):
            place = layer * directions
            params = a["params"][place * per_direction : (place + directions) * per_direction]
            states = [_part(b, state, place, directions) for state in hx]
            x, ends = _layer(b, kind, x, states, _packed(b, kind, params, per_direction))
            last.append(ends)
        if a["batch_first"]:
            x = b.op("Transpose", x, perm=[1, 0, 2])
        joined = [layer_states[0] if len(last) == 1 else b.op("Concat", *layer_states, axis=0)
                  for layer_states in map(list, zip(*last, strict=True))]  # fmt: skip
        return (x, *joined)

    return write


def _layer(
    b: Builder, kind: _Kind, x: Value, states: Sequence[Value], weights: Sequence[Value | None]
) -> tuple[Value, list[Value]]:
    """One layer in both directions. x (time, batch, in) → (time, batch, directions · hidden), and its last states."""
    directions, hidden = states[0].shape[0] or 1, b.known_size(states[0], -1)
    attributes = dict(kind.attributes)
    if "activations" in attributes:
        attributes["activations"] = attributes["activations"] * directions
    y, *ends = b.ops(
        kind.name, x, *weights, None, *states, outputs=1 + kind.states, dtype=x.dtype, shape=states[0].shape,
        hidden_size=hidden, direction="bidirectional" if directions == 2 else "forward", **attributes,
    )  # fmt: skip
    y = Value(y.name, x.dtype, (x.shape[0], directions, x.shape[1], hidden))
    y = b.op("Transpose", y, perm=[0, 2, 1, 3])
    joined = b.op("Reshape", y, b.ints([0, 0, directions * hidden]), dtype=x.dtype,
                  shape=(x.shape[0], x.shape[1], directions * hidden))  # fmt: skip
    return joined, list(ends)


def _packed(b: Builder, kind: _Kind, params: Sequence[Value], per_direction: int) -> tuple[Value | None, ...]:
    """W (directions, gates · h, in), R (directions, gates · h, h), B (directions, 2 · gates · h) of hidden size h."""
    parts = [params[index : index + per_direction] for index in range(0, len(params), per_direction)]
    inner, outer = (_stacked(b, [_ordered(b, kind, part[index]) for part in parts]) for index in (0, 1))
    if per_direction == 2:
        return inner, outer, None
    biases = [b.op("Concat", *(_ordered(b, kind, bias) for bias in part[2:]), axis=0) for part in parts]
    return inner, outer, _stacked(b, biases)


def _ordered(b: Builder, kind: _Kind, weight: Value) -> Value:
    if kind.gates == (0,):
        return weight
    hidden = b.known_size(weight, 0) // len(kind.gates)
    known = b.known(weight)
    if known is not None:  # at once, so that no node is left of it
        return b.const(
            np.concatenate([known[gate * hidden : (gate + 1) * hidden] for gate in kind.gates]), weight.dtype
        )
    shape = (hidden, *weight.shape[1:])
    gates = b.ops("Split", weight, b.ints([hidden] * len(kind.gates)), outputs=len(kind.gates), axis=0,
                  dtype=weight.dtype, shape=shape)  # fmt: skip
    return b.op("Concat", *(gates[gate] for gate in kind.gates), axis=0)


def _stacked(b: Builder, values: Sequence[Value]) -> Value:
    raised = [b.op("Unsqueeze", value, b.ints([0])) for value in values]
    return raised[0] if len(raised) == 1 else b.op("Concat", *raised, axis=0)


def _part(b: Builder, state: Value, begin: int, count: int) -> Value:
    if state.shape[0] == count:
        return state
    made = b.op("Slice", state, b.ints([begin]), b.ints([begin + count]), b.ints([0]))
    return Value(made.name, state.dtype, (count, *state.shape[1:]))


RECURRENT: Mapping[str, Rule] = {
    "aten.lstm.input": _layers(_Kind("LSTM", (0, 3, 1, 2), {})),
    "aten.gru.input": _layers(_Kind("GRU", (1, 0, 2), {"linear_before_reset": 1})),
    "aten.rnn_tanh.input": _layers(_Kind("RNN", (0,), {"activations": ["Tanh"]})),
    "aten.rnn_relu.input": _layers(_Kind("RNN", (0,), {"activations": ["Relu"]})),
}
