"""Bits per weight against the entropy, and the speed of the codec that is chosen, on independent weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from bench.artifact_codecs import best, decode_all, independent
from sterna.artifact.codec import CODECS, encode, encode_smallest
from sterna.artifact.entropy import entropy_bits_per_weight

SPARSITIES = (0.33, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
REPEATS = 5


@dataclass(frozen=True, slots=True)
class CodecRow:
    """The chosen codec at one sparsity; speeds in M weights per second of processor time, one thread.

    Attributes:
        choose: speed of trying all codecs and keeping the smallest, which is what the writer does.
        encode: speed of the chosen codec alone.
    """

    sparsity: float
    entropy: float
    codec: str
    bits: float
    choose: float
    encode: float
    decode: float

    @property
    def to_entropy(self) -> float:
        """Bits per weight ÷ H."""
        return self.bits / self.entropy


def measure_codecs(weights: int) -> list[CodecRow]:
    """Every sparsity; the best of some repeats, since the machine may be shared."""
    return [_measured(sparsity, weights) for sparsity in SPARSITIES]


def _measured(sparsity: float, weights: int) -> CodecRow:
    codes = independent(sparsity, weights)
    choose_s, chosen = best(partial(encode_smallest, codes), 1)
    encode_s, _ = best(partial(encode, codes, chosen.codec), 2)
    decode_s, decoded = best(partial(decode_all, chosen, weights), REPEATS)
    if not np.array_equal(decoded, codes):
        raise SystemExit("the round trip is not exact")
    speeds = [weights / seconds / 1e6 for seconds in (choose_s, encode_s, decode_s)]
    bits = 8 * len(chosen.payload) / weights
    return CodecRow(sparsity, entropy_bits_per_weight(sparsity), CODECS[chosen.codec].name, bits, *speeds)
