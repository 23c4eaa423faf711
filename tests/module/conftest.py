"""Networks exported by stock torch and built again by Sterna."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from sterna.intake import read_model
from sterna.module import build_module

Rebuild = Callable[..., nn.Module]


@pytest.fixture
def rebuild(tmp_path) -> Rebuild:
    """Export a module in the mode in which it is, read the file, build it again."""

    def export_and_build(model: nn.Module, inputs: tuple[torch.Tensor, ...], *, dynamic: bool = True) -> nn.Module:
        axes = tuple({0: torch.export.Dim("batch")} for _ in inputs) if dynamic else None
        path = tmp_path / "model.pt2"
        torch.export.save(torch.export.export(model, inputs, dynamic_shapes=axes), path)
        return build_module(read_model(path))

    return export_and_build
