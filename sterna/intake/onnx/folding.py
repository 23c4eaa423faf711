"""Arithmetic of ONNX networks on elements that are known: shapes, axes and numbers, which no node is needed for.

Where an element is the size of a dynamic axis, the result is one too, computed by the graph's own nodes for sizes
(`int.add`, `float.truediv` and the like). What cannot be folded is left to the ordinary reading of the operator, for
which sizes are data, and gives None here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from sterna.graph import DTYPES, FLOATING, ValueRef
from sterna.intake.onnx.call import Call
from sterna.intake.onnx.values import Computed, Element, Items, Value

Number: TypeAlias = "bool | int | float"

_ON_SIZES: Final[Mapping[str, str]] = {
    "Add": "add",
    "Sub": "sub",
    "Mul": "mul",
    "Div": "floordiv",
    "Mod": "mod",
    "Max": "max",
    "Min": "min",
}
_ON_FRACTIONS: Final[Mapping[str, str]] = {
    "Add": "add",
    "Sub": "sub",
    "Mul": "mul",
    "Div": "truediv",
    "Max": "max",
    "Min": "min",
}
_TO_WHOLE: Final[Mapping[str, str]] = {"Floor": "int.floor", "Ceil": "int.ceil", "Round": "int.round"}


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
        _fold(call, one.dtype, one.elements[at % len(one.elements)], other.elements[at % len(other.elements)])
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


def fold_each(call: Call) -> Items | None:
    """The result of an operator on each element of one known value."""
    items = call.graph.items(call.input(0))
    if items is None:
        return None
    call.graph.work(len(items.elements))
    results = [_fold_one(call, element) for element in items.elements]
    known = tuple(result for result in results if result is not None)
    return Items(known, items.dtype, items.scalar) if len(known) == len(results) else None


def fold_cast(call: Call, items: Items, dtype: str) -> Items | None:
    """Known elements as another type; a size stays what it is, where the type holds sizes."""
    if not items.is_known and dtype not in {*FLOATING, "int64", "int32"}:
        return None
    call.graph.work(len(items.elements))
    return Items(tuple(_cast(call, element, dtype) for element in items.elements), dtype, items.scalar)


def _cast(call: Call, element: Element, dtype: str) -> Element:
    if isinstance(element, ValueRef):
        if dtype in FLOATING or not call.graph.is_fraction(element):
            return element
        return call.graph.emit("int.trunc", "int64", (), a=element).ref
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


def _fold_one(call: Call, element: Element) -> Element | None:
    if isinstance(element, ValueRef):
        return _fold_one_size(call, element)
    if call.operator == "Not":
        return not element
    if isinstance(element, bool) or call.operator not in _ON_ONE:
        return None
    return _ON_ONE[call.operator](element)


def _fold_one_size(call: Call, size: ValueRef) -> Element | None:
    fraction = call.graph.is_fraction(size)
    if call.operator in _TO_WHOLE:
        return call.graph.emit(_TO_WHOLE[call.operator], "int64", (), a=size).ref if fraction else size
    if call.operator == "Neg":
        return call.graph.emit("float.neg" if fraction else "int.neg", "int64", (), a=size).ref
    return call.graph.emit("float.sqrt", "float64", (), a=size).ref if call.operator == "Sqrt" else None


def _fold(call: Call, dtype: str, a: Element, b: Element) -> Element | None:
    if isinstance(a, ValueRef) or isinstance(b, ValueRef):
        return _fold_size(call, dtype, a, b)
    if call.operator in _TRUTHS:
        return _TRUTHS[call.operator](a, b)
    if isinstance(a, bool) or isinstance(b, bool):
        return None
    if isinstance(a, int) and isinstance(b, int) and call.operator in _ON_SIZES:
        return _fold_whole(call, a, b)
    return _fold_floats(call.operator, float(a), float(b))


def _fold_whole(call: Call, a: int, b: int) -> int | None:
    if b != 0 and (a < 0) != (b < 0):
        if call.operator == "Div":
            return -(abs(a) // abs(b))  # ONNX divides towards zero
        if call.operator == "Mod" and call.attributes.integer("fmod", 0):
            return abs(a) % abs(b) * (1 if a > 0 else -1)
    result = call.graph.calculate(_ON_SIZES[call.operator], a, b)
    return result if isinstance(result, int) else None


def _fold_size(call: Call, dtype: str, a: Element, b: Element) -> Element | None:
    if call.operator in _TRUTHS:
        return _compare_sizes(call, a, b)
    if dtype in FLOATING and (call.operator == "Div" or call.graph.is_fraction(a) or call.graph.is_fraction(b)):
        return _fold_fraction(call, a, b)
    one, other = _whole(a), _whole(b)
    if call.operator not in _ON_SIZES or one is None or other is None:
        return None
    natural = call.graph.is_natural(one) and call.graph.is_natural(other)
    if call.operator == "Div" and not natural:  # towards zero, where the nodes for sizes divide downwards
        return call.graph.emit("int.trunc", "int64", (), a=_fold_fraction(call, one, other)).ref
    if call.operator == "Mod" and not natural and call.attributes.integer("fmod", 0):
        return None
    return call.graph.calculate(_ON_SIZES[call.operator], one, other)


def _fold_fraction(call: Call, a: Element, b: Element) -> Element | None:
    if call.operator not in _ON_FRACTIONS:
        return None
    return call.graph.emit(f"float.{_ON_FRACTIONS[call.operator]}", "float64", (), a=a, b=b).ref


def _compare_sizes(call: Call, a: Element, b: Element) -> bool | None:
    """Sizes are not negative, so that what they are compared with may tell the result."""
    if call.operator == "Equal" and a == b:
        return True
    operator = call.operator
    if isinstance(b, ValueRef):
        a, b, operator = b, a, _TURNED.get(operator, "")
    if isinstance(b, ValueRef) or b > 0 or not call.graph.is_natural(a):
        return None
    return (_WITH_ZERO if b == 0 else _WITH_LESS).get(operator)


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

_ON_ONE: Final[Mapping[str, Callable[[int | float], int | float | None]]] = {
    "Floor": lambda a: float(math.floor(a)) if math.isfinite(a) else None,
    "Ceil": lambda a: float(math.ceil(a)) if math.isfinite(a) else None,
    "Neg": lambda a: -a,
    "Sqrt": lambda a: math.sqrt(a) if a >= 0 else None,
}

_TRUTHS: Final[Mapping[str, Callable[[Number, Number], bool]]] = {
    "Equal": lambda a, b: a == b,
    "And": lambda a, b: bool(a) and bool(b),
    "Or": lambda a, b: bool(a) or bool(b),
    "Xor": lambda a, b: bool(a) != bool(b),
    "Greater": lambda a, b: a > b,
    "GreaterOrEqual": lambda a, b: a >= b,
    "Less": lambda a, b: a < b,
    "LessOrEqual": lambda a, b: a <= b,
}

_TURNED: Final[Mapping[str, str]] = {
    "Equal": "Equal",
    "Greater": "Less",
    "GreaterOrEqual": "LessOrEqual",
    "Less": "Greater",
    "LessOrEqual": "GreaterOrEqual",
}

_WITH_ZERO: Final[Mapping[str, bool]] = {"Less": False, "GreaterOrEqual": True}
_WITH_LESS: Final[Mapping[str, bool]] = {**_WITH_ZERO, "Equal": False, "LessOrEqual": False, "Greater": True}
