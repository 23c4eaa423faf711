"""Four ways in which people make a file of a network, all of them stock torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import torch

from bench.architectures.networks import Network

EXPORTED_SIZE: Final = 3
OTHER_SIZES: Final = (2, 5)
"""Of the first axis, at which a file is compared that takes more than the size that it was made with."""


def write_pt2(network: Network, path: Path) -> None:
    """By `torch.export.save`, for one size of the batch."""
    torch.export.save(torch.export.export(network.module, network.draw(EXPORTED_SIZE), strict=False), path)


def write_dynamic_pt2(network: Network, path: Path) -> None:
    """By `torch.export.save`; torch refuses where the network is of one size."""
    example = network.draw(EXPORTED_SIZE)
    program = torch.export.export(network.module, example, dynamic_shapes=_batches(len(example)), strict=False)
    torch.export.save(program, path)


def write_classic_onnx(network: Network, path: Path) -> None:
    """By the exporter that traces TorchScript, opset 17; where it writes the size of the batch down, nobody is told."""
    example = network.draw(EXPORTED_SIZE)
    names = input_names("onnx", len(example))
    axes = {name: {0: "batch"} for name in names}
    torch.onnx.export(
        network.module, example, path, input_names=names, dynamic_axes=axes, opset_version=17, dynamo=False
    )


def write_dynamo_onnx(network: Network, path: Path) -> None:
    """By the exporter that goes by way of `torch.export`."""
    example = network.draw(EXPORTED_SIZE)
    torch.onnx.export(
        network.module, example, path, input_names=input_names("onnx-dynamo", len(example)), dynamo=True,
        dynamic_shapes=_batches(len(example)), external_data=False, verbose=False,
    )  # fmt: skip


WAYS: Final[Mapping[str, Callable[[Network, Path], None]]] = {
    "pt2": write_pt2,
    "pt2-dynamic": write_dynamic_pt2,
    "onnx": write_classic_onnx,
    "onnx-dynamo": write_dynamo_onnx,
}


def input_names(way: str, count: int) -> list[str]:
    """What the inputs are called in a file: torch.export takes the name of `*inputs`."""
    return [f"{'x' if way.startswith('onnx') else 'inputs_'}{index}" for index in range(count)]


def _batches(count: int) -> dict[str, tuple[dict[int, object], ...]]:
    return {"inputs": tuple({0: torch.export.Dim.DYNAMIC} for _ in range(count))}
