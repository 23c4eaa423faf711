import numpy as np
import pytest
import torch

from sterna.intake.finite import is_finite

BIG = 2**20 + 7


@pytest.mark.parametrize("place", [0, 5, BIG - 1])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_bad_number_is_found(place, value):
    array = np.zeros(BIG, np.float16)
    assert is_finite(array)
    array[place] = value
    assert not is_finite(array)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_bfloat16_is_judged_by_its_bits(value):
    def bits(values: list[float]) -> np.ndarray:
        return torch.tensor(values, dtype=torch.bfloat16).view(torch.uint16).numpy()

    assert is_finite(bits([0.0, -3e38, 1e-40]), "bfloat16")
    assert not is_finite(bits([0.0, value]), "bfloat16")


def test_integers_and_views():
    assert is_finite(np.arange(3))
    array = np.ones((4, 6), np.float32)
    array[1, 1] = np.nan
    assert is_finite(array.T[::2, ::2])
    assert not is_finite(array.T)
