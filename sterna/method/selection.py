"""The k-th smallest of many numbers.

`kthvalue` moves numbers about one by one and guesses the next branch wrongly half of the time. On a processor two
numbers of a sample that lie below and above the one looked for, nearly always, cut out the few between which it is, by
operations on whole vectors; then `kthvalue` has a tenth of the work (Floyd and Rivest, *Expected time bounds for
selection*, 1975). A GPU would have to wait for their number, and has no branches to guess.
"""

from __future__ import annotations

import math

from torch import Tensor

_SAMPLE = 1024
_LEAST = 8 * _SAMPLE  # below, a sample costs as much as it saves
_DEVIATIONS = 3.0  # of the rank within the sample


def kth_smallest(values: Tensor, k: int) -> Tensor:
    """The value of the k-th smallest element, (); 0 for none.

    Args:
        values: (N,) without NaN.
        k: 0 … N.
    """
    if k == 0:
        return values.new_zeros(())
    if len(values) < _LEAST or values.device.type != "cpu":
        return values.kthvalue(k).values
    low, high = _around(values, k)
    above = values[values >= low]
    rank = k - (len(values) - len(above))
    between = above[above <= high]
    if not 0 < rank <= len(between):  # the sample is not like the rest
        return values.kthvalue(k).values
    return between.kthvalue(rank).values


def _around(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Two elements between which the k-th smallest lies but for one time in hundreds, if order says nothing of size."""
    sample = values[:: len(values) // _SAMPLE].contiguous()
    share = k / len(values)
    rank, margin = share * len(sample), 1.0 + _DEVIATIONS * math.sqrt(len(sample) * share * (1.0 - share))
    least, most = max(1, int(rank - margin)), min(len(sample), int(rank + margin) + 1)
    return sample.kthvalue(least).values, sample.kthvalue(most).values
