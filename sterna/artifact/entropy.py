"""The entropy at a share of zeros: a yardstick for codes, and no bound for networks.

It is what independent weights with one and the same share of zeros everywhere need on average. Layers of a network
differ: coded each by itself they need the mean of their own entropies, which is at most that of the overall share.
"""

from __future__ import annotations

from math import log2


def entropy_bits_per_weight(sparsity: float) -> float:
    """Give H(s) = −s·log2 s − (1−s)·log2((1−s)/2), bits per weight: independent weights, both signs equally likely."""
    nonzero = 1.0 - sparsity
    bits = nonzero  # the signs
    for share in (sparsity, nonzero):
        if share > 0:
            bits -= share * log2(share)
    return bits
