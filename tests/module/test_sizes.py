"""Arithmetic on sizes against Python's own."""

import math

import pytest

from sterna.graph import OPERATORS
from sterna.module.sizes import SIZES


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        ("int.add", {"a": 7, "b": 2}, 9),
        ("int.sub", {"a": 7, "b": 2}, 5),
        ("int.mul", {"a": 7, "b": 2}, 14),
        ("int.floordiv", {"a": 7, "b": 2}, 3),
        ("int.mod", {"a": 7, "b": 2}, 1),
        ("int.pow", {"a": 7, "b": 2}, 49),
        ("int.max", {"a": 7, "b": 2}, 7),
        ("int.min", {"a": 7, "b": 2}, 2),
        ("int.neg", {"a": 7}, -7),
        ("int.floor", {"a": 3.5}, 3),
        ("int.ceil", {"a": 3.5}, 4),
        ("int.trunc", {"a": -3.5}, -3),
        ("int.round", {"a": 3.6}, 4),
        ("float.truediv", {"a": 7, "b": 2}, 3.5),
        ("float.mul", {"a": 7, "b": 0.5}, 3.5),
        ("float.sqrt", {"a": 2}, math.sqrt(2)),
        ("float.of", {"a": 7}, 7.0),
    ],
)
def test_arithmetic_on_sizes(name, arguments, result):
    found = SIZES[name](**arguments)
    assert found == result
    assert type(found) is type(result)


def test_the_table_is_that_of_the_graph():
    assert SIZES.keys() == {name for name in OPERATORS if name.startswith(("int.", "float."))}
    for name, function in SIZES.items():
        numbers = dict.fromkeys(OPERATORS[name].arguments, 2)
        assert type(function(**numbers)) is (int if name.startswith("int.") else float)


@pytest.mark.parametrize(
    ("name", "a", "b", "error"),
    [
        ("int.mul", "a", 10, TypeError),
        ("int.mul", (0,), 10, TypeError),
        ("int.add", 0.5, 1, TypeError),
        ("int.mul", 2**40, 2**40, OverflowError),
        ("int.pow", 2, 64, OverflowError),
        ("int.pow", 2**60, 2**60, OverflowError),
        ("float.pow", -2, 0.5, OverflowError),
        ("float.mul", 1e300, 1e300, OverflowError),
        ("int.floordiv", 1, 0, ZeroDivisionError),
    ],
)
def test_what_is_no_size_is_refused(name, a, b, error):
    with pytest.raises(error):
        SIZES[name](a=a, b=b)
