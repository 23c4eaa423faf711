"""The table of functions against the allow-list, and the allow-list against torch's own schemas."""

from functools import partial

import pytest
import torch

from sterna.graph import DTYPES as GRAPH_DTYPES
from sterna.graph import OPERATORS
from sterna.module.operators import DTYPES, FUNCTIONS

PLACES = {"device", "layout", "pin_memory", "cudnn_enabled", "cudnn_enable"}
ATEN = [name for name in OPERATORS if name.startswith("aten.")]
# They may give back what they got, or a view of it, and torch's schema does not say so.
SILENT = {name for name in ATEN if "dropout" in name or "meshgrid" in name} | {
    "aten.einsum.default",
    "aten.type_as.default",
}


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
    entry = OPERATORS[name]
    assert {entry.mode, entry.mode_needs, entry.rate, entry.left, *entry.weights} - {None} <= set(entry.arguments)
    assert entry.makes == (not any("Tensor" in str(a.type) for a in schema.arguments))
    aliases = any(argument.alias_info is not None for argument in schema.arguments)
    assert OPERATORS[name].may_alias == (aliases or name in SILENT)


@pytest.mark.parametrize("name", ATEN)
def test_no_function_overwrites_what_it_is_given(name):
    assert not any(a.alias_info is not None and a.alias_info.is_write for a in overload(name)._schema.arguments)
