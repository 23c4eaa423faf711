"""A sound `.pt2` that a test takes apart, spoils and puts together again."""

import copy
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn


@dataclass
class Sound:
    """The members of a sound file by name without the root folder; `save` writes what became of them."""

    folder: Path
    members: dict[str, bytes]

    def json(self, name: str) -> Any:
        return json.loads(self.members[name])

    def put_json(self, name: str, value: Any) -> None:
        self.members[name] = json.dumps(value).encode()

    def save(self, compression: int = zipfile.ZIP_STORED) -> Path:
        return self.write(zipped({f"model/{name}": content for name, content in self.members.items()}, compression))

    def write(self, content: bytes) -> Path:
        path = self.folder / "model.pt2"
        path.write_bytes(content)
        return path


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def members_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="session")
def exported(tmp_path_factory) -> dict[str, bytes]:
    path = tmp_path_factory.mktemp("sound") / "model.pt2"
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2))
    program = torch.export.export(model, (torch.ones(2, 4),), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.export.save(program, path)
    return members_of(path)


@pytest.fixture
def sound(exported, tmp_path) -> Sound:
    return Sound(tmp_path, copy.copy(exported))
