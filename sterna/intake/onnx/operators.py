"""The ONNX operators that are read, each with the function that turns it into nodes of the graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from sterna.errors import OperatorUnsupported
from sterna.graph.check import quoted
from sterna.intake.onnx.activations import ACTIVATIONS
from sterna.intake.onnx.arrangement import ARRANGEMENT
from sterna.intake.onnx.attention import ATTENTION
from sterna.intake.onnx.call import Converter
from sterna.intake.onnx.elementwise import ELEMENTWISE
from sterna.intake.onnx.images import IMAGES
from sterna.intake.onnx.indexed import INDEXED
from sterna.intake.onnx.layers import LAYERS
from sterna.intake.onnx.normalisations import NORMALISATIONS
from sterna.intake.onnx.pooling import POOLING
from sterna.intake.onnx.recurrent import RECURRENT
from sterna.intake.onnx.selection import SELECTION

CONVERTERS: Final[Mapping[str, Converter]] = {
    **LAYERS,
    **RECURRENT,
    **ATTENTION,
    **NORMALISATIONS,
    **ACTIVATIONS,
    **ELEMENTWISE,
    **POOLING,
    **IMAGES,
    **ARRANGEMENT,
    **SELECTION,
    **INDEXED,
}


def check_onnx_operators(names: Iterable[str]) -> None:
    """Raise unless every operator is read; the message names those that are not."""
    unknown = list(dict.fromkeys(name for name in names if name not in CONVERTERS))
    if unknown:
        shown = ", ".join(quoted(name) for name in unknown[:10]) + (", …" if len(unknown) > 10 else "")
        raise OperatorUnsupported(
            f"the network uses ONNX operators that are not read: {shown}",
            hint="Export the network in floating point and in evaluation mode, without quantisation, conditions and"
            " loops; or export a .pt2.",
        )
