"""A network → an ONNX graph, operator by operator, by one table of rules. Needs numpy and onnx, never torch."""

from sterna.export.onnx_graph.table import RULES
from sterna.export.onnx_graph.write import build_onnx, refuse_without_rule

__all__ = ["RULES", "build_onnx", "refuse_without_rule"]
