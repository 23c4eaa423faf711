"""Arithmetic of ONNX networks on elements that are known: shapes, axes and numbers, which no node is needed for.

Where an element is the size of a dynamic axis, the result is one too, computed by the graph's own nodes for sizes
(`int.add` and the like). What cannot be folded is left to the ordinary reading of the operator, and gives None here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from sterna.graph import DTYPES, FLOATING, ValueRef
from sterna.intake.onnx.call import Call
from sterna.intake.onnx.values import Computed, Element, Items, Value

_ON_SIZES: Final[Mapping[str, str]] = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "floordiv"}


def fold_arithmetic(call: Call, a: Value, b: Value) -> Items | None:
    """The result of an operator on two known values; a value of one element goes with every element of the other."""
    if isinstance(a, Computed) or isinstance(b, Computed):
        return None
    one, other = call.graph.items(a), call.graph.items(b)
    if one is None or other is None:
        return None
    count = max(len(one.elements), len(other.elements))
    if not {len(one.elements), len(other.elements)} <= {1, count}:
        return None
    call.graph.work(count)
    results = [
        _fold(call, one.elements[at % len(one.elements)], other.elements[at % len(other.elements)])
        for at in range(count)
    ]
    known = tuple(result for result in results if result is not None)
    if len(known) != count:
        return None
    dtype = "bool" if call.operator in _TRUTHS else one.dtype
    return Items(known, dtype, one.scalar and other.scalar)


def fold_where(call: Call) -> Items | None:
    """Where, on known elements."""
    if any(isinstance(value, Computed) for value in call.inputs):
        return None
    found = [call.graph.items(value) for value in call.inputs]
    condition, one, other = found if len(found) == 3 else (None, None, None)
    if condition is None or one is None or other is None or not condition.is_known:
        return None
    count = max(len(items.elements) for items in (condition, one, other))
    if any(len(items.elements) not in {1, count} for items in (condition, one, other)):
        return None
    call.graph.work(count)
    chosen = tuple(
        (one if condition.elements[at % len(condition.elements)] else other).elements[
            at % len((one if condition.elements[at % len(condition.elements)] else other).elements)
        ]
        for at in range(count)
    )
    return Items(chosen, one.dtype, condition.scalar and one.scalar and other.scalar)


def fold_cast(items: Items, dtype: str) -> Items:
    """Known elements as another type; a size stays what it is."""
    return Items(tuple(_cast(element, dtype) for element in items.elements), dtype, items.scalar)


def _cast(element: Element, dtype: str) -> Element:
    if isinstance(element, ValueRef):
        return element
    if dtype == "bool":
        return bool(element)
    if dtype in FLOATING:
        return float(element)
    if isinstance(element, float) and not math.isfinite(element):
        return 0
    whole = int(element)
    bits = 8 * DTYPES[dtype].itemsize
    wrapped = whole % (1 << bits)
    return wrapped - (1 << bits) if DTYPES[dtype].kind == "i" and wrapped >= 1 << (bits - 1) else wrapped


def _fold(call: Call, a: Element, b: Element) -> Element | None:
    if isinstance(a, ValueRef) or isinstance(b, ValueRef):
        return _fold_size(call, a, b)
    if call.operator in _TRUTHS:
        return _TRUTHS[call.operator](a, b)
    if isinstance(a, bool) or isinstance(b, bool):
        return None
    if isinstance(a, int) and isinstance(b, int) and call.operator in _ON_SIZES:
        if call.operator == "Div" and b != 0 and (a < 0) != (b < 0):
            return -(abs(a) // abs(b))  # ONNX divides towards zero
        result = call.graph.calculate(_ON_SIZES[call.operator], a, b)
        return result if isinstance(result, int) else None
    return _fold_floats(call.operator, float(a), float(b))


def _fold_size(call: Call, a: Element, b: Element) -> Element | None:
    """Sizes are not negative, so that what they are compared with may tell the result."""
    if call.operator == "Equal":
        negative = any(isinstance(side, int) and side < 0 for side in (a, b))
        return True if a == b else False if negative else None
    one, other = _whole(a), _whole(b)
    if call.operator not in _ON_SIZES or one is None or other is None:
        return None
    return call.graph.calculate(_ON_SIZES[call.operator], one, other)


def _whole(element: Element) -> int | ValueRef | None:
    """An element as a size; a float serves where it is whole, as in the scale 2.0 of an upsampling."""
    if isinstance(element, float):
        return int(element) if element.is_integer() else None
    return element


def _fold_floats(operator: str, a: float, b: float) -> float | None:
    if operator not in _ON_FLOATS:
        return None
    try:
        result = _ON_FLOATS[operator](a, b)
    except (ZeroDivisionError, OverflowError):
        return None
    return result if isinstance(result, float) else None


_ON_FLOATS: Final[Mapping[str, Callable[[float, float], float]]] = {
    "Add": lambda a, b: a + b,
    "Sub": lambda a, b: a - b,
    "Mul": lambda a, b: a * b,
    "Div": lambda a, b: a / b,
    "Pow": lambda a, b: a**b,
}

_TRUTHS: Final[Mapping[str, Callable[[Element, Element], bool]]] = {
    "Equal": lambda a, b: a == b,
    "And": lambda a, b: bool(a) and bool(b),
    "Or": lambda a, b: bool(a) or bool(b),
}
