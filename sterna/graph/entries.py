"""One entry of the allow-list: what may be said of an operator, and how each sort of operator is written down."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Operator:
    """What may be said of one operator.

    Attributes:
        arguments: the names that it may be given, in its order.
        weights: the arguments that hold weights of a layer. Where one is a list, as of recurrent layers, its members
            with two or more axes are the weights.
        kind: what sort of layer that makes; `function` where there is no weight.
        channel_axis: the output-channel axis of the weights; −1 is the last.
        left: the argument that holds a weight where that stands on the left of a product; its output-channel axis
            is the last but one.
        mode: the argument that is true while training.
        mode_needs: the mode follows train() and eval() only where this argument is given: batch normalisation
            without running statistics uses those of the batch in both.
        rate: the argument that is a share of dropout, which is 0 while evaluating.
        may_alias: its result may share memory with the first argument that is a tensor or a list of them.
        makes: it makes a tensor out of numbers alone, wherever the network is.
        grows: it may make far more memory than it is given.
        grows_by: the arguments of a layer that make it do so, where one of their numbers is above `USUAL_NUMBER`.
    """

    arguments: tuple[str, ...]
    weights: tuple[str, ...] = ()
    kind: str = "function"
    channel_axis: int = 0
    left: str | None = None
    mode: str | None = None
    mode_needs: str | None = None
    rate: str | None = None
    may_alias: bool = False
    makes: bool = False
    grows: bool = False
    grows_by: tuple[str, ...] = ()


USUAL_NUMBER: Final = 64
"""No network pads, strides or dilates by more; up to here a layer's result is in proportion to what it is given."""


def layer(arguments: str, kind: str, *, weights: str = "weight", channel_axis: int = 0) -> Operator:
    """One that has weights; names are divided by spaces, here and below."""
    return Operator(tuple(arguments.split()), weights=tuple(weights.split()), kind=kind, channel_axis=channel_axis)


def product(arguments: str, left: str | None, right: str) -> Operator:
    """A matrix product, either side of which may be a weight."""
    return replace(layer(arguments, "linear", weights=right, channel_axis=-1), left=left)


def function(arguments: str) -> Operator:
    """One that computes something new from what it is given, in proportion to it."""
    return Operator(tuple(arguments.split()))


def switched(arguments: str, mode: str, *, needs: str | None = None, may_alias: bool = False) -> Operator:
    """One that does something else while training."""
    return Operator(tuple(arguments.split()), mode=mode, mode_needs=needs, may_alias=may_alias)


def view(arguments: str) -> Operator:
    """One that may look into what it is given."""
    return Operator(tuple(arguments.split()), may_alias=True)


def growing(arguments: str) -> Operator:
    """One that may make far more than it is given."""
    return Operator(tuple(arguments.split()), grows=True)


def maker(arguments: str) -> Operator:
    """One that makes a tensor out of numbers."""
    return Operator(tuple(arguments.split()), makes=True, grows=True)


def each(operator: Operator, names: str) -> dict[str, Operator]:
    """The same entry for several operators."""
    return {f"aten.{name}": operator for name in names.split()}
