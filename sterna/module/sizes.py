"""Arithmetic on the sizes of a network's values: what an export with dynamic axes computes beside its tensors.

`int.…` gives whole numbers of 64 bits, `float.…` finite floats; each takes numbers and nothing else, since a text times
a number could fill the memory.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import torch

Number: TypeAlias = "int | float"

_NUMBERS: Final = {int, float, torch.SymInt, torch.SymFloat}

MAX_INTEGER: Final = 2**63 - 1
MAX_EXPONENT: Final = 64


def _power(base: Number, exponent: Number) -> Number:
    if abs(exponent) > MAX_EXPONENT or (base < 0 and not float(exponent).is_integer()):
        raise OverflowError(f"a size to the power of {exponent} is not computed")
    result: Number = base**exponent
    return result


def _whole(function: Callable[..., Number]) -> Callable[..., int]:
    """A function of numbers that gives a whole number of 64 bits."""

    def call(*, a: Number, b: Number | None = None) -> int:
        result = _apply(function, a, b)
        if isinstance(result, torch.SymInt):
            return result
        if type(result) is not int:
            raise TypeError(f"{result} is no whole number")
        if abs(result) > MAX_INTEGER:
            raise OverflowError("a size needs more than 64 bits")
        return result

    return call


def _real(function: Callable[..., Number]) -> Callable[..., float]:
    """A function of numbers that gives a finite float."""

    def call(*, a: Number, b: Number | None = None) -> float:
        found = _apply(function, a, b)
        if isinstance(found, torch.SymFloat):
            return found
        result = float(found)
        if not math.isfinite(result):
            raise OverflowError("arithmetic on sizes gives a number that is not finite")
        return result

    return call


def _apply(function: Callable[..., Number], a: Number, b: Number | None) -> Number:
    numbers = (a,) if b is None else (a, b)
    if not all(type(number) in _NUMBERS for number in numbers):
        raise TypeError("arithmetic on sizes is for numbers")
    return function(*numbers)


_BOTH: Final[Mapping[str, Callable[..., Number]]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "pow": _power,
    "max": max,
    "min": min,
    "neg": operator.neg,
}
_WHOLE: Final[Mapping[str, Callable[..., Number]]] = {
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "floor": math.floor,
    "ceil": math.ceil,
    "trunc": math.trunc,
    "round": round,
}
_REAL: Final[Mapping[str, Callable[..., Number]]] = {"truediv": operator.truediv, "sqrt": math.sqrt, "of": float}

SIZES: Final[Mapping[str, Callable[..., Number]]] = {
    **{f"int.{name}": _whole(function) for name, function in {**_BOTH, **_WHOLE}.items()},
    **{f"float.{name}": _real(function) for name, function in {**_BOTH, **_REAL}.items()},
}
