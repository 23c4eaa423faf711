"""Networks exported by stock torch, as files."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from sterna.graph import Graph, Input, ValueRef

Export = Callable[..., Path]


@pytest.fixture
def export(tmp_path) -> Export:
    """Export a module by stock torch; the batch is dynamic unless said otherwise."""

    def write(model: nn.Module, *inputs: torch.Tensor, dynamic: bool = True) -> Path:
        axes = tuple({0: torch.export.Dim("batch")} for _ in inputs) if dynamic else None
        path = tmp_path / "model.pt2"
        torch.export.save(torch.export.export(model, inputs, dynamic_shapes=axes), path)
        return path

    return write


@pytest.fixture
def graph() -> Graph:
    """Two inputs, an image of any width and tokens; it gives back the image."""
    return Graph(
        inputs=(Input("image", "float32", (None, 1, None)), Input("tokens", "int64", (4, 3))),
        tensors={},
        nodes=(),
        outputs=(ValueRef("image"),),
    )
