"""The rule that writes each operator of the allow-list to ONNX, in one table.

An operator of the allow-list that is not here is refused by name when a network that uses it is exported; a test holds
the keys within the allow-list, and says which operators have no rule.
"""

from __future__ import annotations

from collections.abc import Mapping

from sterna.export.onnx_graph.activations import ACTIVATIONS
from sterna.export.onnx_graph.arithmetic import ARITHMETIC
from sterna.export.onnx_graph.attention import ATTENTION
from sterna.export.onnx_graph.convolutions import CONVOLUTIONS
from sterna.export.onnx_graph.elementwise import ELEMENTWISE
from sterna.export.onnx_graph.indexing import INDEXING
from sterna.export.onnx_graph.normalisation import NORMALISATION
from sterna.export.onnx_graph.pooling import POOLING
from sterna.export.onnx_graph.products import PRODUCTS
from sterna.export.onnx_graph.recurrent import RECURRENT
from sterna.export.onnx_graph.reductions import REDUCTIONS
from sterna.export.onnx_graph.scatters import SCATTERS
from sterna.export.onnx_graph.shapes import SHAPES
from sterna.export.onnx_graph.values import Rule

RULES: Mapping[str, Rule] = {
    **PRODUCTS,
    **CONVOLUTIONS,
    **NORMALISATION,
    **POOLING,
    **ACTIVATIONS,
    **SHAPES,
    **ARITHMETIC,
    **REDUCTIONS,
    **ELEMENTWISE,
    **ATTENTION,
    **RECURRENT,
    **INDEXING,
    **SCATTERS,
}
