"""LSTM, GRU and RNN of ONNX as torch's.

    ONNX    W (directions, gates·hidden, input), R (directions, gates·hidden, hidden), B (directions, 2·gates·hidden)
    torch   for each direction w_ih (gates·hidden, input), w_hh (gates·hidden, hidden), b_ih, b_hh (gates·hidden,)

The gates stand in another order: LSTM i o f c against i f g o, GRU z r h against r z n. Tensors are taken apart and put
into order when they are read, so that looking at a file costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sterna.errors import ModelCorrupt
from sterna.graph import Argument
from sterna.intake.onnx.call import Call, Converter
from sterna.intake.onnx.rearranged import origin_of
from sterna.intake.onnx.tensors import StoredTensor
from sterna.intake.onnx.values import Computed, Shape, Stored, Value
from sterna.intake.onnx.wire import HINT

_DIRECTIONS: Final[Mapping[str, int]] = {"forward": 1, "reverse": 1, "bidirectional": 2}


@dataclass(frozen=True, slots=True)
class _Kind:
    """One sort of recurrent layer: its operator, torch's gates by their places in ONNX, its activations."""

    operator: str
    order: tuple[int, ...]
    activations: tuple[str, ...]


_LSTM: Final = _Kind("aten.lstm.input", (0, 2, 3, 1), ("sigmoid", "tanh", "tanh"))
_GRU: Final = _Kind("aten.gru.input", (1, 0, 2), ("sigmoid", "tanh"))
_RNN: Final = _Kind("aten.rnn_tanh.input", (0,), ("tanh",))


@dataclass(frozen=True, slots=True)
class GateRows:
    """The rows of one direction of a stored tensor, gate after gate in another order; see `StoredTensor`.

    Attributes:
        name: here.
        source: the tensor of the file.
        direction: which part of its first axis.
        order: for each gate, where the file has it.
        half: of a bias: the first or second half of its second axis; None for a weight.
    """

    name: str
    source: StoredTensor
    direction: int
    order: tuple[int, ...]
    half: int | None = None

    @property
    def dtype(self) -> str:
        """Torch name of the element type."""
        return self.source.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes."""
        return self.source.shape[1:] if self.half is None else (self.source.shape[1] // 2,)

    def read(self) -> NDArray[Any]:
        """The elements, copied."""
        rows = self.source.read()[self.direction]
        if self.half is not None:
            rows = np.split(rows, 2)[self.half]
        gates = rows.reshape(len(self.order), -1, *rows.shape[1:])
        ordered: NDArray[Any] = gates[list(self.order)].reshape(self.shape)
        return ordered


def _recurrent(kind: _Kind, call: Call) -> tuple[Value, ...]:
    kind = _checked(kind, call)
    directions = _DIRECTIONS[call.attributes.text("direction", "forward")]
    backwards = call.attributes.text("direction", "forward") == "reverse"
    value = call.input(0)
    params, hidden = _params(kind, call, directions)
    call.attributes.ignore("hidden_size")
    sequence = call.graph.tensor(value)
    if backwards:
        sequence = call.like("aten.flip.default", value, self=sequence, dims=(0,)).ref
    shape = value.shape or (None, None, None)
    if len(shape) != 3:
        raise ModelCorrupt(f"{call.operator} is given {len(shape)} axes, not steps, samples and features", hint=HINT)
    state = (directions, shape[1], hidden)
    states = [_state(call, index, (directions, hidden)) for index in ((5, 6) if kind is _LSTM else (5,))]
    made: list[tuple[str, Shape | None]] = [
        (value.dtype, (shape[0], shape[1], directions * hidden)),
        *[(value.dtype, state)] * len(states),
    ]
    results = call.graph.emit_several(
        kind.operator,
        made,
        unpacked=True,
        input=sequence,
        hx=tuple(states) if kind is _LSTM else states[0],
        params=params,
        has_biases=call.given(3) is not None,
        num_layers=1,
        dropout=0.0,
        train=False,
        bidirectional=directions == 2,
        batch_first=False,
    )
    return _all_steps(call, results[0], (directions, hidden), backwards=backwards), *results[1:]


def _checked(kind: _Kind, call: Call) -> _Kind:
    """Raise unless torch has the same layer."""
    attributes = call.attributes
    if attributes.text("direction", "forward") not in _DIRECTIONS:
        raise ModelCorrupt(f"{call.operator} has a direction that is none", hint=HINT)
    if attributes.integer("layout", 0) or attributes.has("clip") or attributes.integer("input_forget", 0):
        raise call.refuse("its layout, clip or input_forget is not the usual one")
    if call.given(4) is not None or call.given(7) is not None:
        raise call.refuse("it has lengths of sequences, or peepholes")
    if kind is _GRU and not attributes.integer("linear_before_reset", 0):
        raise call.refuse("its reset gate comes before the product (linear_before_reset = 0)")
    given = tuple(name.lower() for name in attributes.texts("activations") or kind.activations)
    attributes.ignore("activation_alpha", "activation_beta")
    if kind is _RNN and set(given) == {"relu"}:
        return _Kind("aten.rnn_relu.input", kind.order, ("relu",))
    if given not in {kind.activations, kind.activations * 2}:
        raise call.refuse("its activations are not the usual ones")
    return kind


def _params(kind: _Kind, call: Call, directions: int) -> tuple[tuple[Argument, ...], int]:
    """The tensors of every direction as torch wants them, and the size of the state."""
    stored = [call.input(1), call.input(2)] + ([call.input(3)] if call.given(3) is not None else [])
    tensors = [tensor for value in stored if (tensor := origin_of(value)) is not None]
    if len(tensors) != len(stored):
        raise call.refuse("its weights are computed")
    hidden = tensors[1].shape[-1] if len(tensors[1].shape) == 3 else 0
    rows = hidden * len(kind.order)
    wanted = ((directions, rows, None), (directions, rows, hidden), (directions, 2 * rows))
    for tensor, shape in zip(tensors, wanted, strict=False):
        fits = len(tensor.shape) == len(shape) and all(
            size in {None, found} for size, found in zip(shape, tensor.shape, strict=True)
        )
        if not fits or not hidden:
            raise ModelCorrupt(f"{call.operator} has a weight of shape {tensor.shape}, which fits none", hint=HINT)
    params: list[Argument] = []
    for direction in range(directions):
        for tensor in tensors[:2]:
            rows_of = GateRows(f"{tensor.name}.{direction}", tensor, direction, kind.order)
            params.append(call.graph.tensor(Stored(rows_of), "parameter"))
        for half, tensor in enumerate(tensors[2:] * 2):
            name = f"{tensor.name}.{direction}.{('ih', 'hh')[half]}"
            params.append(call.graph.tensor(Stored(GateRows(name, tensor, direction, kind.order, half)), "parameter"))
    return tuple(params), hidden


def _state(call: Call, index: int, sizes: tuple[int, int]) -> Argument:
    """A first state; zeros where it is left out."""
    given, value = call.given(index), call.input(0)
    if given is not None:
        return call.graph.tensor(given)
    size = (sizes[0], call.graph.size(value, 1), sizes[1])
    tensor = call.graph.tensor(value)
    return call.graph.emit("aten.new_zeros.default", value.dtype, None, self=tensor, size=size).ref


def _all_steps(call: Call, output: Computed, sizes: tuple[int, int], *, backwards: bool) -> Value:
    """(steps, batch, directions · hidden) as (steps, directions, batch, hidden)."""
    shape = output.shape or (None, None, None)
    apart = (*shape[:2], *sizes)
    split = call.graph.emit("aten.unflatten.int", output.dtype, apart, self=output.ref, dim=2, sizes=sizes)
    if backwards:
        split = call.like("aten.flip.default", split, self=split.ref, dims=(0,))
    moved = (shape[0], sizes[0], shape[1], sizes[1])
    return call.graph.emit("aten.permute.default", output.dtype, moved, self=split.ref, dims=(0, 2, 1, 3))


RECURRENT: Final[Mapping[str, Converter]] = {
    "GRU": partial(_recurrent, _GRU),
    "LSTM": partial(_recurrent, _LSTM),
    "RNN": partial(_recurrent, _RNN),
}
