import numpy as np
import pytest

from sterna.artifact import TernaryTensor
from sterna.compress.histograms import BINS, weight_histogram


def ternary(codes, scale):
    return TernaryTensor(np.array(codes, dtype=np.int8), np.array(scale, dtype=np.float32))


def test_every_weight_is_counted_once_before_and_after():
    random = np.random.default_rng(0)
    before = random.standard_normal((8, 50), dtype=np.float32)
    before[0, 0] = 1e6  # far out: in the outermost bin, and not what the bins are laid by
    codes = random.integers(-1, 2, (8, 50))
    found = weight_histogram(before, ternary(codes, random.uniform(0.5, 1, (8, 1))))
    assert sum(found.before) == sum(found.after) == 400
    assert len(found.before) == len(found.after) == BINS
    assert found.before[-1] >= 1
    assert found.high == -found.low < 1e6
    assert found.negative == (codes == -1).mean()
    assert found.positive == (codes == 1).mean()
    assert found.after[BINS // 2] == (codes == 0).sum()


def test_counts_are_those_of_a_count_by_hand():
    before = np.array([[-1.0, -0.49, 0.0, 0.01, 0.5, 1.0]], dtype=np.float32)
    found = weight_histogram(before, ternary([[-1, 0, 0, 0, 1, 1]], [[1.0]]))
    width = (found.high - found.low) / BINS
    for counts, weights in ((found.before, before[0]), (found.after, [-1, 0, 0, 0, 1, 1])):
        by_hand = [0] * BINS
        for weight in weights:
            by_hand[min(int((weight - found.low) // width), BINS - 1)] += 1
        assert list(counts) == by_hand


@pytest.mark.parametrize("before", [np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float64)])
def test_a_layer_of_zeros_has_all_of_them_in_the_middle(before):
    found = weight_histogram(before, ternary(np.zeros((2, 3)), np.zeros((2, 1))))
    assert found.before[BINS // 2] == found.after[BINS // 2] == 6
    assert found.negative == found.positive == 0
