"""The table of functions against the allow-list, and the allow-list against torch's own schemas."""

from functools import partial

import pytest
import torch

from sterna.graph import DTYPES as GRAPH_DTYPES
from sterna.graph import OPERATORS
from sterna.module.operators import DTYPES, FUNCTIONS

PLACES = {"device", "layout", "pin_memory", "cudnn_enabled", "cudnn_enable"}
ATEN = [name for name in OPERATORS if name.startswith("aten.")]
DROPOUTS = {name for name in ATEN if "dropout" in name}


def overload(name: str) -> torch._ops.OpOverload:
    function = FUNCTIONS[name]
    return function.func if isinstance(function, partial) else function


def test_the_tables_have_the_same_names():
    assert FUNCTIONS.keys() == OPERATORS.keys()
    assert DTYPES.keys() == GRAPH_DTYPES.keys()


@pytest.mark.parametrize("name", ATEN)
def test_each_name_has_its_own_function_with_its_own_arguments(name):
    function = overload(name)
    assert str(function) == name
    schema = function._schema
    assert OPERATORS[name].arguments == tuple(a.name for a in schema.arguments if a.name not in PLACES)
    if OPERATORS[name].mode is not None:
        assert OPERATORS[name].mode in OPERATORS[name].arguments
    aliases = any(argument.alias_info is not None for argument in schema.arguments)
    assert OPERATORS[name].may_alias == (aliases or name in DROPOUTS)


@pytest.mark.parametrize("name", ATEN)
def test_no_function_overwrites_what_it_is_given(name):
    assert not any(a.alias_info is not None and a.alias_info.is_write for a in overload(name)._schema.arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        ("int.add", {"a": 7, "b": 2}, 9),
        ("int.sub", {"a": 7, "b": 2}, 5),
        ("int.mul", {"a": 7, "b": 2}, 14),
        ("int.floordiv", {"a": 7, "b": 2}, 3),
        ("int.mod", {"a": 7, "b": 2}, 1),
        ("int.neg", {"a": 7}, -7),
    ],
)
def test_arithmetic_on_sizes(name, arguments, result):
    assert FUNCTIONS[name](**arguments) == result


def test_arithmetic_on_sizes_is_for_integers_of_64_bits():
    with pytest.raises(TypeError):
        FUNCTIONS["int.mul"](a="a", b=10)
    with pytest.raises(OverflowError):
        FUNCTIONS["int.mul"](a=2**40, b=2**40)
