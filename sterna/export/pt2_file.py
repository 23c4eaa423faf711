"""An artifact → a `.pt2` by stock `torch.export`, with dense weights under their original names."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sterna.export.outgoing import written_whole
from sterna.export.packages import require

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sterna.graph import Graph, Input

EXAMPLE_SIZE = 3
"""Of each axis that may differ; torch.export would take 0 and 1 for fixed."""


def export_pt2(path: Path, out_path: Path) -> None:
    """Write the network of the artifact at `path` to `out_path`, in evaluation mode; needs torch.

    Inputs keep their names and their order, axes of any size stay so.

    Raises:
        ExtraMissing: torch is not installed.
        ArtifactCorrupt, ArtifactDigestMismatch, ArtifactVersionUnsupported, UnsupportedFormat: as `sterna.load`.
    """
    require("torch")
    import torch  # noqa: PLC0415  only for those who write it

    from sterna.module import load_module  # noqa: PLC0415

    network = load_module(path)
    graph: Graph = network._sterna_program.graph  # type: ignore[assignment,union-attr]
    examples = tuple(_example(item) for item in graph.inputs)
    sizes = tuple(
        {axis: torch.export.Dim.DYNAMIC for axis, size in enumerate(item.shape) if size is None}
        for item in graph.inputs
    )
    exported = torch.export.export(_named(network, graph), examples, dynamic_shapes=sizes)
    with written_whole(out_path) as partial, partial.open("wb") as file:
        torch.export.save(exported, file)


def _example(item: Input) -> Tensor:
    import torch  # noqa: PLC0415

    from sterna.module.operators import DTYPES  # noqa: PLC0415

    return torch.zeros([EXAMPLE_SIZE if size is None else size for size in item.shape], dtype=DTYPES[item.dtype])


def _named(network: nn.Module, graph: Graph) -> nn.Module:
    """The network with the names of its inputs in the signature of `forward`, which is where torch.export looks."""
    kind = type(network)

    class Named(kind):  # type: ignore[misc,valid-type]  # the class of the network, whatever that is
        def forward(self, *args: Tensor) -> Any:  # noqa: ANN401
            return kind.forward(self, *args)

    parameters = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        for name in ("self", *(item.name for item in graph.inputs))
    ]
    Named.forward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    network.__class__ = Named
    return network
