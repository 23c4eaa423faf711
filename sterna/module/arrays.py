"""Tensors of a network between numpy, which has no bfloat16, and torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sterna.graph import Graph
from sterna.module.operators import DTYPES


def to_tensor(array: NDArray[Any], dtype: str) -> Tensor:
    """Copy an array into a tensor.

    Args:
        array: of the numpy type that stands for `dtype`; uint16 bit patterns for bfloat16.
        dtype: torch name.
    """
    tensor = torch.from_numpy(np.array(array, order="C"))
    return tensor.view(torch.bfloat16) if dtype == "bfloat16" else tensor


def to_array(tensor: Tensor, dtype: str) -> NDArray[Any]:
    """Copy a tensor, on any device and of any floating type, into an array that stands for `dtype`."""
    plain = tensor.detach().to("cpu", DTYPES[dtype]).contiguous()
    return (plain.view(torch.uint16) if dtype == "bfloat16" else plain).numpy().copy()


def tensors_of(module: nn.Module, graph: Graph) -> dict[str, NDArray[Any]]:
    """Every tensor of the graph as it now is in the module that was built from it, in the graph's order and types."""
    present: Mapping[str, Tensor] = {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }
    return {name: to_array(present[name], info.dtype) for name, info in graph.tensors.items()}
