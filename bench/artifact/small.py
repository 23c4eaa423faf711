"""What codec 5 saves in small tensors, and what it costs whole networks to decode: with it and without, in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import comb, log2, prod
from statistics import median
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from bench.artifact.sizes import ResNet18
from bench.artifact_codecs import decode_all, independent
from bench.method.networks import ResidualNetwork, SeriesTransformer
from sterna.artifact.codec import CODECS, EncodedCodes, encode, encode_smallest, worthwhile_codecs

ANS = 5
WEIGHTS = (1_536, 4_096, 12_288, 16_384)
SPARSITIES = (0.5, 0.7, 0.9, 0.95)
ROUNDS = 15
SPARSITY = 0.7

MOBILE_BLOCKS = (
    (1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1),
)  # fmt: skip
"""MobileNetV2 (Sandler et al., 2018, table 2): expansion, channels and repetitions of the inverted residual blocks."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SmallRow:
    """One small tensor of independent codes.

    Attributes:
        least: bytes that number the tensors with as many zeros: log2 C(w, k) and a bit for each sign.
        size_bytes: of the smallest of codecs 1 to 4, and of codec 5.
        decode_ms: the same.
    """

    weights: int
    sparsity: float
    least: float
    size_bytes: tuple[int, int]
    decode_ms: tuple[float, float]


@dataclass(frozen=True, slots=True)
class NetworkRow:
    """All ternary weights of a network with independent codes.

    Attributes:
        small: share of the weights that are in tensors which codec 5 is allowed for.
        tried: whether the writer tries it.
        size_bytes: of all codes without codec 5, and with it wherever it is allowed and smallest.
        decode_ms: the same; processor time, one thread, the median of the rounds.
    """

    network: str
    tensors: int
    weights: int
    small: float
    tried: bool
    size_bytes: tuple[int, int]
    decode_ms: tuple[float, float]


def measure_small() -> list[SmallRow]:
    """Every size at every sparsity."""
    return [_small(weights, sparsity) for weights in WEIGHTS for sparsity in SPARSITIES]


def measure_networks() -> list[NetworkRow]:
    """Networks of few large tensors, of many small ones, and of small ones alone."""
    shapes = {
        "ResNet-18": _shapes(ResNet18()),
        "MobileNetV2": mobile_shapes(),
        "residual network of bench/method": _shapes(ResidualNetwork()),
        "Crop transformer of bench/method": _shapes(SeriesTransformer()),
    }
    return [_network(name, of_network) for name, of_network in shapes.items()]


def mobile_shapes() -> list[tuple[int, ...]]:
    """The shapes of MobileNetV2's 53 weights: 17 depthwise and 34 1×1 convolutions, the first one, the classifier."""
    shapes: list[tuple[int, ...]] = [(32, 3, 3, 3)]
    width = 32
    for expansion, channels, repetitions in MOBILE_BLOCKS:
        for _ in range(repetitions):
            inner = expansion * width
            if expansion > 1:
                shapes.append((inner, width, 1, 1))
            shapes += [(inner, 1, 3, 3), (channels, inner, 1, 1)]
            width = channels
    return [*shapes, (1280, width, 1, 1), (1000, 1280)]


def _shapes(network: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in network.parameters() if weight.ndim > 1]


def _small(weights: int, sparsity: float) -> SmallRow:
    codes = independent(sparsity, weights)
    nonzeros = int(np.count_nonzero(codes))
    made = (_without_ans(codes), encode(codes, ANS))
    times = _in_turns([partial(decode_all, one, weights) for one in made])
    least = (log2(comb(weights, nonzeros)) + nonzeros) / 8
    return SmallRow(weights, sparsity, least, _both([len(one.payload) for one in made]), _both(times))


def _network(name: str, shapes: Sequence[tuple[int, ...]]) -> NetworkRow:
    tensors = [independent(SPARSITY, prod(shape)) for shape in shapes]
    made = [[_without_ans(codes) for codes in tensors], [encode_smallest(codes) for codes in tensors]]
    weights = [codes.size for codes in tensors]
    times = _in_turns([partial(_decode_tensors, each, weights) for each in made])
    return NetworkRow(
        network=name,
        tensors=len(tensors),
        weights=sum(weights),
        small=sum(size for size in weights if size <= CODECS[ANS].most_weights) / sum(weights),
        tried=ANS in worthwhile_codecs(weights),
        size_bytes=_both([sum(len(one.payload) for one in each) for each in made]),
        decode_ms=_both(times),
    )


def _without_ans(codes: NDArray[np.int8]) -> EncodedCodes:
    return encode_smallest(codes, codecs=[number for number in CODECS if number != ANS])


def _decode_tensors(made: Sequence[EncodedCodes], weights: Sequence[int]) -> None:
    for one, size in zip(made, weights, strict=True):
        decode_all(one, size)


def _in_turns(actions: Sequence[Callable[[], object]]) -> list[float]:
    """Milliseconds of processor time of each, the median of the rounds; tables are made before the first."""
    taken: list[list[float]] = [[] for _ in actions]
    for action in actions:
        action()
    for _ in range(ROUNDS):
        for action, times in zip(actions, taken, strict=True):
            start = time.process_time()
            action()
            times.append(1e3 * (time.process_time() - start))
    return [median(times) for times in taken]


def _both(pair: Sequence[T]) -> tuple[T, T]:
    without, with_ans = pair
    return without, with_ans
