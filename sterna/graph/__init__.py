"""The network as data: nodes, the operator allow-list, shapes and the JSON form. Needs numpy alone."""

from sterna.graph.check import check_graph
from sterna.graph.dtypes import DTYPES, FLOATING
from sterna.graph.entries import Operator
from sterna.graph.json_form import graph_from_json, graph_to_json
from sterna.graph.layers import Layer, find_layers, is_excluded
from sterna.graph.network import (
    Argument,
    Dtype,
    Graph,
    Input,
    Network,
    Node,
    TensorInfo,
    TensorKind,
    TensorRef,
    ValueRef,
)
from sterna.graph.operators import OPERATORS

__all__ = [
    "DTYPES",
    "FLOATING",
    "OPERATORS",
    "Argument",
    "Dtype",
    "Graph",
    "Input",
    "Layer",
    "Network",
    "Node",
    "Operator",
    "TensorInfo",
    "TensorKind",
    "TensorRef",
    "ValueRef",
    "check_graph",
    "find_layers",
    "graph_from_json",
    "graph_to_json",
    "is_excluded",
]
