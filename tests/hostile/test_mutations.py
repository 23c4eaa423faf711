"""Sound files with a few members of their JSON deleted, moved or replaced: read or refused, never anything else."""

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from sterna.errors import InputError
from sterna.intake import preflight

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


@pytest.mark.parametrize("seed", range(4))
def test_a_spoilt_file_is_read_or_refused(sound, seed):
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
