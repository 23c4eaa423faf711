"""Sound files with a few members of their JSON deleted, moved or replaced: read or refused, never anything else."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  its usual name

from sterna.errors import InputError
from sterna.intake import preflight
from tests.hostile.conftest import Sound, members_of

FILES = ("models/model.json", "data/weights/model_weights_config.json")
VALUES = (
    None, True, 0, -1, 1.5, "", "x", [], {}, [[]], 2**70, {"as_int": 3}, {"as_tensor": {"name": "x"}},
    {"as_none": True},
    "torch.ops.aten.relu_.default", "torch.ops.aten.add_.Tensor", "torch.ops.aten.dropout.default",
)  # fmt: skip


def paths(value: Any, path: tuple = ()) -> Iterator[tuple]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths(inner, (*path, key))


def at(value: Any, path: tuple) -> Any:
    for step in path:
        value = value[step]
    return value


def spoil(form: Any, chance: random.Random) -> None:
    places = [path for path in paths(form) if path]
    *way, last = chance.choice(places)
    owner, action = at(form, tuple(way)), chance.random()
    if action < 0.2:
        del owner[last]
    elif action < 0.4:
        owner[last] = json.loads(json.dumps(at(form, chance.choice(places))))
    else:
        owner[last] = chance.choice(VALUES)


class Sequence(nn.Module):
    """A little of all that the reader treats on its own: lists, several results, a region, sizes, overwriting."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(9, 8)
        self.lstm = nn.LSTM(8, 4, bidirectional=True, batch_first=True)
        self.mix = nn.Parameter(torch.randn(8, 2, 4))

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor, None]:
        states, (hidden, _) = self.lstm(self.embed(tokens))
        with torch.no_grad():
            shift = torch.arange(tokens.shape[0]).view(-1, 1, 1) / tokens.shape[0]
        states += shift
        y = torch.einsum("btd,dhk->bhtk", states, self.mix)
        mask = torch.ones(8, 8, dtype=torch.bool).tril()
        return F.scaled_dot_product_attention(y, y, y, attn_mask=mask).relu_(), hidden, None


@pytest.fixture(scope="session")
def exported_sequence(tmp_path_factory) -> dict[str, bytes]:
    path = tmp_path_factory.mktemp("sequence") / "model.pt2"
    batch = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(Sequence(), (torch.zeros(3, 8, dtype=torch.long),), dynamic_shapes=batch)
    torch.export.save(program, path)
    return members_of(path)


@pytest.fixture(params=["exported", "exported_sequence"])
def whole_file(request, tmp_path) -> Sound:
    return Sound(tmp_path, copy.copy(request.getfixturevalue(request.param)))


@pytest.mark.filterwarnings("ignore:The tensor attributes self:UserWarning")  # torch's own, of LSTM
@pytest.mark.parametrize("seed", range(4))
def test_a_spoilt_file_is_read_or_refused(whole_file, seed):
    sound = whole_file
    chance = random.Random(seed)  # noqa: S311  not for secrets
    whole = dict(sound.members)
    for node in (program := sound.json(FILES[0]))["graph_module"]["graph"]["nodes"]:
        node["metadata"] = {}
    whole[FILES[0]] = json.dumps(program).encode()
    refused = 0
    for _ in range(60):
        sound.members = dict(whole)
        name = chance.choice(FILES)
        form = sound.json(name)
        spoil(form, chance)
        sound.put_json(name, form)
        try:
            preflight(sound.save(), None)
        except InputError:
            refused += 1
    assert refused > 10  # else nothing was spoilt
