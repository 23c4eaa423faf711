"""What a ternary weight is."""

import numpy as np
import pytest

from sterna.artifact import TernaryTensor
from sterna.errors import InvalidSpec, NonFiniteWeights


def test_dense_is_scale_times_codes():
    codes = np.array([[1, 0, -1], [-1, -1, 0]], np.int8)
    weight = TernaryTensor(codes, np.array([[0.5], [3.0]], np.float32))
    assert weight.dense().dtype == np.float32
    assert weight.dense().tolist() == [[0.5, 0.0, -0.5], [-3.0, -3.0, 0.0]]
    assert weight.zeros == 2


@pytest.mark.parametrize(
    ("codes", "scale", "message"),
    [
        (np.zeros((2, 3), np.int16), np.ones((2, 1), np.float32), "codes are int16"),
        (np.zeros((2, 3), np.int8), np.ones((2, 1)), "scale is float64"),
        (np.full((2, 3), 2, np.int8), np.ones((2, 1), np.float32), "codes lie in 2 … 2"),
        (np.full((2, 3), -2, np.int8), np.ones((2, 1), np.float32), "codes lie in -2 … -2"),
        (np.zeros((0, 3), np.int8), np.ones((1, 1), np.float32), "no elements"),
        (np.zeros((2, 3), np.int8), np.ones(3, np.float32), "a scale of shape"),
        (np.zeros((2, 3), np.int8), np.ones((3, 1), np.float32), "a scale of shape"),
        (np.zeros((2, 3), np.int8), np.ones((1, 2, 1), np.float32), "a scale of shape"),
    ],
)
def test_what_is_refused(codes, scale, message):
    with pytest.raises(InvalidSpec, match=message) as caught:
        TernaryTensor(codes, scale)
    assert caught.value.hint


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scales_are_finite(value):
    with pytest.raises(NonFiniteWeights):
        TernaryTensor(np.zeros((2, 3), np.int8), np.array([[1.0], [value]], np.float32))
