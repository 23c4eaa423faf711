"""Random programs of views and writes: what is read from their export is refused, or computes what they compute."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sterna.errors import OperatorUnsupported
from sterna.intake import read_model
from sterna.module import build_module

Step = Callable[[list[Tensor]], object]

PROGRAMS = 24
STEPS = 12
SIZE = (3, 4)


def make(choose: random.Random, known: list[Tensor]) -> Step:
    """A value of memory of its own."""
    at = choose.randrange(len(known))
    return choose.choice([
        lambda v: v[at] * 2,
        lambda v: v[at].clone(),
        lambda v: torch.zeros_like(v[at]),
        lambda v: v[at].new_zeros(SIZE),
        lambda v: torch.empty_like(v[at]).fill_(1.0),
        lambda v: v[at].new_zeros(3, 4, 2),
        lambda v: v[at].sigmoid() + v[0].mean(),
    ])  # fmt: skip


def look(choose: random.Random, known: list[Tensor]) -> Step:
    """One view, or several, or what may be one."""
    at = choose.randrange(len(known))
    rank = max(1, known[at].ndim)
    dim, other = choose.randrange(-rank, rank), choose.randrange(rank)
    index, start, step = choose.randrange(-2, 2), choose.randrange(-3, 2), choose.randrange(1, 3)
    order = choose.sample(range(rank), rank)
    half = max(1, known[at].numel() // 2)
    return choose.choice([
        lambda v: v[at].select(dim, index),
        lambda v: v[at].select(dim, index),
        lambda v: v[at][start:],
        lambda v: v[at][..., start : start + 2],
        lambda v: v[at][::step],
        lambda v: v[at].narrow(dim, start, 1),
        lambda v: v[at].transpose(dim, other),
        lambda v: v[at].mT,
        lambda v: v[at].t(),
        lambda v: v[at].permute(order),
        lambda v: v[at].movedim(dim, other),
        lambda v: v[at].unsqueeze(dim),
        lambda v: v[at].squeeze(),
        lambda v: v[at].view(-1),
        lambda v: v[at].view(half, -1),
        lambda v: v[at].diagonal(),
        lambda v: v[at].reshape(-1),
        lambda v: v[at].contiguous(),
        lambda v: v[at].flatten(),
        lambda v: v[at].expand(2, *v[at].shape),
        lambda v: v[at].chunk(2, dim),
        lambda v: v[at].split([1, v[at].shape[other] - 1], other),
        lambda v: v[at].unbind(dim),
        lambda v: v[at].detach(),
        lambda v: v[at].to(torch.float32),
        lambda v: nn.functional.dropout(v[at], 0.0),
    ])  # fmt: skip


def operand(of: Tensor, target: Tensor) -> Tensor:
    """What may be an operand of a write to `target`: torch leaves open what comes of memory that overlaps with it."""
    shared = of is not target and of.untyped_storage().data_ptr() == target.untyped_storage().data_ptr()
    return of.clone() if shared else of


def write(choose: random.Random, known: list[Tensor]) -> Step:
    """Something in place."""
    at, source = choose.randrange(len(known)), choose.randrange(len(known))
    number = choose.choice([0.0, -1.5, 2.0])

    def set_item(v: list[Tensor]) -> None:
        v[at][..., -1] = v[source].mean()

    def set_items(v: list[Tensor]) -> None:
        v[at][1:] = v[source][:-1].clone()

    def exchange(v: list[Tensor]) -> None:
        v[at][..., 0] = v[at][..., -1]

    def add_to_item(v: list[Tensor]) -> None:
        v[at][0] += number

    def set_masked(v: list[Tensor]) -> None:
        v[at][v[at] > 0.1] = number

    return choose.choice([
        lambda v: v[at].fill_(number),
        lambda v: v[at].zero_(),
        lambda v: v[at].copy_(operand(v[source], v[at])),
        lambda v: v[at].copy_(operand(v[source], v[at])),
        lambda v: v[at].add_(operand(v[source], v[at]), alpha=0.5),
        lambda v: v[at].mul_(v[source].sum()),
        lambda v: v[at].relu_(),
        lambda v: v[at].clamp_(-1, 1),
        lambda v: v[at].gt_(0.0),
        lambda v: v[at].masked_fill_(v[at] < 0, number),
        lambda v: v[at].index_fill_(0, torch.tensor([0]), number),
        lambda v: v[at].index_add_(0, torch.tensor([0, 1, 0]), operand(v[source], v[at])),
        lambda v: v[at].unsqueeze_(0),
        lambda v: v[at].t_(),
        set_item, set_items, exchange, add_to_item, set_masked,
    ])  # fmt: skip


def read(choose: random.Random, known: list[Tensor]) -> Step:
    at, other = choose.randrange(len(known)), choose.randrange(len(known))
    return choose.choice([lambda v: v[at] + v[other], lambda v: v[at].sum() * v[other], lambda v: v[at].relu()])


class Program(nn.Module):
    """Steps that were found by trying which of them torch takes."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        choose = random.Random(seed)  # noqa: S311  no secret
        self.fc = nn.Linear(4, 4)
        self.inputs = torch.randn(SIZE)
        self.steps: list[Step] = []
        while len(self.steps) < STEPS:
            self._try(choose)
        count = len(self._run(self.inputs))
        self.returned = sorted(choose.sample(range(count), choose.randrange(1, 4)))

    def _try(self, choose: random.Random) -> None:
        known = self._run(self.inputs)
        step = choose.choices([make, look, write, read], [1, 4, 4, 1])[0](choose, known)
        try:
            do(step, known)
        except (RuntimeError, IndexError, ValueError):
            return  # no such axis, no view of such memory, memory that overlaps
        self.steps.append(step)

    def _run(self, x: Tensor) -> list[Tensor]:
        known = [self.fc(x), torch.zeros_like(x)]
        for step in self.steps:
            do(step, known)
        return known

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        known = self._run(x)
        return tuple(known[at] for at in self.returned)


def do(step: Step, known: list[Tensor]) -> None:
    """Run a step, and keep what it made."""
    made = step(known)
    known.extend(one for one in (made if isinstance(made, tuple | list) else (made,)) if isinstance(one, Tensor))


def outputs_of(model: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    made = model(x)
    return made if isinstance(made, tuple) else (made,)


def gradients_of(model: nn.Module, x: Tensor) -> list[Tensor]:
    """Those of the two parameters; none where nothing depends on them."""
    total = torch.stack([one.float().square().sum() for one in outputs_of(model, x)]).sum()
    if not total.requires_grad:
        return [torch.zeros_like(parameter) for parameter in model.parameters()]
    parameters = list(model.parameters())
    return list(torch.autograd.grad(total, parameters, allow_unused=True, materialize_grads=True))


def judge(program: Program, path: Path) -> str:
    """Compare; gives in a word what came out."""
    try:
        exported = torch.export.export(program, (program.inputs,))
    except (RuntimeError, ValueError, IndexError):
        return "not exported"  # its tensors without memory are stricter than those with some
    torch.export.save(exported, path)
    try:
        rebuilt = build_module(read_model(path))
    except OperatorUnsupported as error:
        return "refused" if "overwr" in str(error) else str(error)
    x = torch.randn(SIZE)
    with torch.no_grad():
        assert_same(outputs_of(rebuilt, x), outputs_of(program, x))
    found = gradients_of(rebuilt, x)
    try:
        wanted = gradients_of(program, x)
    except RuntimeError:  # the original overwrites what its gradients need
        return "same values"
    assert_same(found, wanted)
    return "same"


def assert_same(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> None:
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, equal_nan=True)


@pytest.mark.parametrize("seeds", [range(start, start + 6) for start in range(0, PROGRAMS, 6)], ids=str)
def test_what_overwrites_is_refused_or_computes_what_it_computed(seeds, tmp_path):
    ended = Counter(judge(Program(seed), tmp_path / "model.pt2") for seed in seeds)
    assert ended["same"] + ended["same values"] >= 2


class EveryLook(nn.Module):
    """A write through each sort of view, then a look at what it looks into and at a view that was taken before."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        made = []
        for views in LOOKS:
            y = self.fc(x) * 1
            before, written = y[..., 1], views(y)
            written[-1].mul_(3) if isinstance(written, tuple | list) else written.add_(before.sum())
            made += [y * 2, before]
        return tuple(made)


LOOKS: list[Callable[[Tensor], Tensor | Sequence[Tensor]]] = [
    lambda y: y.select(1, -1),
    lambda y: y[1:, ::2],
    lambda y: y.narrow(1, -2, 2),
    lambda y: y.narrow(0, 1, 2),
    lambda y: y.diagonal(1),
    lambda y: y.t()[1],
    lambda y: y.T[:2],
    lambda y: y.mT[0],
    lambda y: y.transpose(-1, 0)[1:],
    lambda y: y.swapaxes(0, 1)[2],
    lambda y: y.swapdims(0, 1)[2],
    lambda y: y[None].permute(2, 0, -2)[1],
    lambda y: y[None].movedim(0, 2)[1],
    lambda y: y[None].movedim((0, 1), (2, 0))[1],
    lambda y: y[None].moveaxis(-1, 0)[1],
    lambda y: y.view(2, 6)[1],
    lambda y: y.view_as(torch.zeros(6, 2))[3],
    lambda y: y[:, :1].squeeze(1)[1:],
    lambda y: y[None, :, None].squeeze()[1],
    lambda y: y[None, :, None].squeeze((0, 2))[1],
    lambda y: y.unsqueeze(-1)[0],
    lambda y: [part[0] for part in y.chunk(2, 1)],
    lambda y: [part[0] for part in y.split(3, -1)],
    lambda y: [part[0] for part in y.split([1, 3], 1)],
    lambda y: [part[0] for part in y.tensor_split(3, 1)],
    lambda y: [part[0] for part in y.tensor_split((1, 2))],
    lambda y: [part[1:] for part in y.unbind(1)],
]


def test_a_write_through_each_sort_of_view_arrives(rebuild):
    model, x = EveryLook(), torch.randn(SIZE)
    with torch.no_grad():
        rebuilt = rebuild(model, (x,), dynamic=False)
        assert_same(rebuilt(x + 1), model(x + 1))


class Particular(nn.Module):
    """Orders of views and writes that random programs meet seldom."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (
            *self.view_of_a_written_view(self.fc(x)),
            *self.piece_written_twice(self.fc(x)),
            *self.laid_out_otherwise(self.fc(x), self.fc(x)),
        )

    def view_of_a_written_view(self, y: Tensor) -> tuple[Tensor, ...]:
        rows = y[1:]
        rows.add_(1)
        rows[0].mul_(2)
        return rows, y

    def piece_written_twice(self, y: Tensor) -> tuple[Tensor, ...]:
        left, right = y.split(2, 1)
        right.add_(1)
        total = y.sum()
        right.mul_(2)
        return y, left, right, total

    def laid_out_otherwise(self, y: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        y.copy_(x := z.new_ones(4, 3).cumsum(0).t())
        z.t().copy_(x.reshape(4, 3))
        return y.view(-1), z.view(2, 6), z.relu().view(6, 2)


def test_particular_orders(rebuild):
    model, x = Particular(), torch.randn(SIZE)
    with torch.no_grad():
        assert_same(rebuild(model, (x,), dynamic=False)(x + 1), model(x + 1))


class KeepsItsType(nn.Module):
    """What overwrites is converted to the type of what it overwrites."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        whole, half = torch.zeros(3, 4, dtype=torch.int64), torch.zeros(3, 4, dtype=torch.float16)
        whole[:, 1:] = self.fc(x)[:, 1:] * 9
        whole[whole > 3] = 5
        half.copy_(x)[1].fill_(whole.sum())
        truths = whole.clone().gt_(2).add_(whole > 3)
        return whole, half, truths, (x * 2).logical_not_(), torch.zeros(3, dtype=torch.int32).fill_(2.9)


def test_what_is_overwritten_keeps_its_type(rebuild):
    model, x = KeepsItsType(), torch.randn(SIZE)
    assert_same(rebuild(model, (x,), dynamic=False)(x), model(x))
