"""The table of functions against the allow-list, and the allow-list against torch's own schemas."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  its usual name

from sterna.graph import DTYPES as GRAPH_DTYPES
from sterna.graph import OPERATORS
from sterna.module.operators import DTYPES, FUNCTIONS

PLACES = {"device", "layout", "pin_memory", "cudnn_enabled", "cudnn_enable"}
ATEN = [name for name in OPERATORS if name.startswith("aten.")]
# They may give back what they got, or a view of it, and torch's schema does not say so.
SILENT = {name for name in ATEN if "dropout" in name or "meshgrid" in name or "atleast" in name} | {
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


class Rare(nn.Module):
    """What networks have now and then, under the names that are exported."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        y = self.fc(x)
        index = (x > 0).long()
        return (
            torch.vdot(x[0], y[1]), torch.linalg.vecdot(x, y), torch.inner(x, self.fc.weight), torch.kron(x, y),
            torch.tensordot(y, self.fc.weight, ([1], [0])), torch.ger(x[0], y[0]),
            torch.sinc(y), torch.special.sinc(x), torch.sgn(y), torch.heaviside(x, x[0]), torch.erfinv(x / 9),
            torch.asinh(y), torch.atanh(y / 9), torch.acosh(x.abs() + 1), +y, torch.special.expit(y),
            torch.negative(y), torch.absolute(y), F.rrelu(y, training=self.training), torch.histc(x, 5, -1.0, 1.0),
            torch.hstack([x, y]), torch.vstack([x, y]), torch.dstack([x, y]), torch.column_stack([x, y]),
            torch.row_stack([x, y]), torch.rot90(y), torch.fliplr(y), torch.flipud(y), torch.moveaxis(y, 0, 1),
            torch.moveaxis(y, (0, 1), (1, 0)), *torch.hsplit(y, 2), *torch.hsplit(y, [1]), *torch.vsplit(y, 3),
            *torch.vsplit(y, [1]), torch.atleast_1d(y[0, 0]), torch.atleast_2d(y[0]), torch.atleast_3d(y), y.ravel(),
            y.cummax(1)[0], y.cummin(1)[0], (x > 0) ^ (x > 1), index ^ 3, torch.bitwise_xor(index, 1),
            torch.zeros_like(y).scatter_reduce(1, index, y, "mean", include_self=False),
            torch.diagonal_scatter(y, x[0, :3]), y.masked_scatter(x > 0, x), torch.concatenate([x, y], 1),
        )  # fmt: skip


@pytest.mark.filterwarnings("ignore:torch.row_stack:UserWarning")
def test_rare_operators_compute_what_they_compute(rebuild):
    model, x = Rare().eval(), torch.randn(3, 4)
    rebuilt = rebuild(model, (x,), dynamic=False).eval()
    for found, wanted in zip(rebuilt(x), model(x), strict=True):
        torch.testing.assert_close(found, wanted, equal_nan=True)


def test_the_slopes_of_rrelu_are_random_in_training_alone(rebuild):
    rebuilt = rebuild(nn.Sequential(nn.Linear(4, 4), nn.RReLU(0.1, 0.5)).eval(), (torch.randn(3, 4),))
    x = torch.randn(50, 4)
    assert torch.equal(rebuilt.eval()(x), F.leaky_relu(F.linear(x, *rebuilt.parameters()), 0.3))
    slopes = (rebuilt.train()(x) / F.linear(x, *rebuilt.parameters()))[rebuilt(x) < 0]
    assert 0.1 <= slopes.min() < 0.2
    assert 0.4 < slopes.max() <= 0.5
