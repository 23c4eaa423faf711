"""Nodes and arrays that the cases of operators are made of."""

import numpy as np
import onnx
from onnx import helper

RANDOM = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def node(operator: str, *inputs: str, outputs: int = 1, **attributes) -> onnx.NodeProto:
    return helper.make_node(operator, inputs, [f"y{at}" for at in range(outputs)], **attributes)


IMAGE, WIDE, ROWS, SEQUENCE = normal(2, 4, 9, 8), normal(2, 3, 5), normal(2, 6), normal(2, 5, 6)
WHOLE, COLUMNS = np.array([[5, -5, -1, 2, -3, 0], [7, 1, 3, -2, 4, 3]]), np.array([[0, -2, 1], [5, 3, -6]])
GRID, INFINITE = normal(2, 4, 3, 2), np.array([[1, np.inf], [-np.inf, np.nan]], np.float32)
HEADS = {"q": normal(2, 4, 5, 3), "k": normal(2, 2, 4, 3), "v": normal(2, 2, 4, 6)}
POSITIVE = np.abs(ROWS) + np.float32(0.5)
FILTERS, CUBES = normal(6, 4, 3, 3), normal(2, 2, 5, 4, 5)
