"""Inputs that are like what the published networks were trained on, made from what every machine has."""

from __future__ import annotations

import sysconfig
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from examples.digits import mnist_5000

HALF = 1024
PADDING = 256
MOST_BYTES = 200_000


def file_bytes(size: int, generator: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    """Files of the Python installation as magika sees them: bytes (size, 2048), int32, the first and last 1,024."""
    paths = generator.choice(np.array(_files(), dtype=object), size, replace=False)
    return {"bytes": np.stack([_ends(Path(path).read_bytes()) for path in paths])}


@cache
def _files() -> list[str]:
    """Files of many kinds: of each suffix at most 300."""
    kinds: dict[str, list[str]] = {}
    for path in sorted(Path(sysconfig.get_paths()["purelib"]).rglob("*")):
        if path.is_file() and 16 <= path.stat().st_size <= MOST_BYTES:
            kinds.setdefault(path.suffix, []).append(str(path))
    return [path for paths in kinds.values() for path in paths[:: len(paths) // 300 + 1]]


def _ends(content: bytes) -> NDArray[np.int32]:
    first, last = content.lstrip()[:HALF], content.rstrip()[-HALF:]
    row = np.full(2 * HALF, PADDING, np.int32)
    row[: len(first)] = np.frombuffer(first, np.uint8)
    row[2 * HALF - len(last) :] = np.frombuffer(last, np.uint8)
    return row


def lines_of_digits(size: int, generator: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    """Four written digits side by side, dark on light, half of the lines upside down: x (size, 3, 48, 192)."""
    images = _digits()[generator.integers(0, len(_digits()), (size, 4))]  # (size, 4, 28, 28), 0 to 1
    to_48 = np.arange(48) * 28 // 48
    grown = images[:, :, to_48][:, :, :, to_48]  # (size, 4, 48, 48)
    lines = 1.0 - 2.0 * grown.transpose(0, 2, 1, 3).reshape(size, 48, 192)
    turned = generator.random(size) < 0.5
    lines[turned] = lines[turned, ::-1, ::-1]
    return {"x": np.repeat(lines[:, None], 3, axis=1).astype(np.float32)}


def pages_of_digits(size: int, generator: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    """Two such lines, one below the other: x (size, 3, 96, 192)."""
    above, below = (lines_of_digits(size, generator)["x"] for _ in range(2))
    return {"x": np.concatenate((above, below), axis=2)}


@cache
def _digits() -> NDArray[np.float32]:
    images = mnist_5000()["image"].reshape(-1, 28, 28).astype(np.float32)
    low, high = images.min(), images.max()
    return ((images - low) / (high - low)).astype(np.float32)


def tokens(size: int, generator: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    """Sequences of 16 words drawn as words are, a few often and most seldom, the last ones padded."""
    ids = 1000 + np.minimum(generator.zipf(1.3, (size, 16)), 29_000).astype(np.int64)
    ids[:, 0] = 101
    mask = (np.arange(16) < generator.integers(6, 17, (size, 1))).astype(np.int64)
    return {"input_ids": ids * mask, "attention_mask": mask}
