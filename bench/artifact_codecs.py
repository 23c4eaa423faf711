"""Bits per weight against the entropy, and speed, of every codec on independent weights.

    .venv/bin/python bench/artifact_codecs.py [--weights 10000000] [--repeats 3]

Prints a table as docs/format.md holds it; with at most 16,384 weights, codec 5 is in it. One thread and its
processor time; the best of the repeats.
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sterna.artifact.codec import CHUNK_WEIGHTS, CODECS, EncodedCodes, decode, encode, encode_smallest
from sterna.artifact.entropy import entropy_bits_per_weight

SPARSITIES = (0.33, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)

T = TypeVar("T")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print(f"{options.weights:,} weights, numpy {np.__version__}, zlib {zlib.ZLIB_RUNTIME_VERSION}, one thread\n")
    numbers = fitting(options.weights)
    names = " | ".join(CODECS[number].name for number in numbers)
    print(f"| zeros | H | {names} | chosen | bits per weight | ÷ H | decode, M weights/s |")
    print("|---" * (len(numbers) + 6) + "|")
    for sparsity in SPARSITIES:
        print(row(sparsity, options.weights, options.repeats))


def row(sparsity: float, weights: int, repeats: int) -> str:
    """Measure all codecs at one sparsity: ÷ H (encode / decode, M weights/s) of each, then the chosen one."""
    codes = independent(sparsity, weights)
    limit = entropy_bits_per_weight(sparsity)
    cells = []
    for number in fitting(weights):
        encode_s, made = best(partial(encode, codes, number), repeats)
        decode_s, _ = best(partial(decode_all, made, weights), repeats)
        ratio = 8 * len(made.payload) / weights / limit
        cells.append(f"{ratio:.3f} ({weights / encode_s / 1e6:.0f} / {weights / decode_s / 1e6:.0f})")
    chosen = encode_smallest(codes)
    decode_s, decoded = best(partial(decode_all, chosen, weights), repeats)
    if not np.array_equal(decoded, codes):
        raise SystemExit("the round trip is not exact")
    bits = 8 * len(chosen.payload) / weights
    figures = f"{CODECS[chosen.codec].name} | {bits:.4f} | {bits / limit:.4f} | {weights / decode_s / 1e6:.0f}"
    return f"| {sparsity:g} | {limit:.4f} | {' | '.join(cells)} | {figures} |"


def fitting(weights: int) -> list[int]:
    """The codecs that a tensor of so many weights may have."""
    return [number for number, codec in CODECS.items() if weights <= codec.most_weights]


def independent(sparsity: float, weights: int) -> NDArray[np.int8]:
    """Codes [weights], each 0 with this probability, signs equally likely; the seed is fixed."""
    random = np.random.default_rng(2011)
    signs = random.integers(0, 2, weights, dtype=np.int8) * np.int8(2) - np.int8(1)
    return np.where(random.random(weights, dtype=np.float32) < sparsity, np.int8(0), signs)


def decode_all(made: EncodedCodes, weights: int) -> NDArray[np.int8]:
    """Decode every chunk as the reader does."""
    return decode(made, weights, CHUNK_WEIGHTS)


def best(action: Callable[[], T], repeats: int) -> tuple[float, T]:
    """Run it a few times; the shortest processor time in seconds and the last result."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        result = action()
        times.append(time.process_time() - start)
    return min(times), result


if __name__ == "__main__":
    main()
