from itertools import pairwise

import pytest

from api_schemas import ProgressPoint
from workers.thinning import POINTS, Thinning


@pytest.mark.parametrize("steps", [10, POINTS, 20 * POINTS, 20 * POINTS + 7])
def test_a_curve_has_a_bounded_number_of_points_its_ends_among_them(steps):
    thinning = Thinning()
    kept = [n for n in range(1, steps + 1) if thinning.keeps(ProgressPoint(step=n, steps=steps))]
    assert (kept[0], kept[-1]) == (1, steps)
    assert len(kept) <= POINTS * 1.01 + 1
    assert len(kept) >= min(steps, POINTS * 0.9)
    gaps = {after - before for before, after in pairwise(kept[:-1])}
    assert len(gaps) <= 1  # evenly


def test_a_metric_and_a_run_that_begins_again_are_kept():
    thinning = Thinning()
    thinning.keeps(ProgressPoint(step=1, steps=10**6))
    assert not thinning.keeps(ProgressPoint(step=2, steps=10**6))
    assert thinning.keeps(ProgressPoint(step=3, steps=10**6, metric=0.5))
    assert thinning.keeps(ProgressPoint(step=1, steps=10**6))
