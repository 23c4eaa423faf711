"""The codecs by number, the choice of the smallest for a tensor, the cutting into chunks (docs/format.md, section 5).

| number | ratio to the entropy at 50 / 70 / 90 / 95 % zeros |
|---|---|
| 1 trits | 1.07 / 1.35 / 2.81 / 4.77: for tensors too small to deflate |
| 2 trits-deflate | 1.00 / 1.01 / 1.02 / 1.16 |
| 3 mask-deflate | 1.00 / 1.01 / 1.01 / 1.04 |
| 4 gaps-deflate | 1.00 / 1.01 / 1.01 / 1.01 |
| 5 mask-ans | 1.00 / 1.00 / 1.00 / 1.00: for tensors of at most 2^14 weights |
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sterna.artifact.ans import decode_ans, encode_ans
from sterna.artifact.chunk_error import ChunkError
from sterna.artifact.gaps import decode_gaps, encode_gaps
from sterna.artifact.limits import MAX_ANS_WEIGHTS, MAX_TERNARY_WEIGHTS, MAX_WEIGHTS_PER_BYTE
from sterna.artifact.mask import decode_mask, encode_mask
from sterna.artifact.trits import (
    decode_deflated_trits,
    decode_trits,
    encode_deflated_trits,
    encode_trits,
)

CHUNK_WEIGHTS = 2**20
_SMALL_SHARE = 10
"""One part in so many of a network's weights has to be in small tensors before these get a codec of their own."""

Encode: TypeAlias = Callable[[NDArray[np.int8]], bytes]
Decode: TypeAlias = "Callable[[bytes | memoryview, int, int], NDArray[np.int8]]"


@dataclass(frozen=True, slots=True)
class Codec:
    """One way to turn the codes of a chunk into bytes.

    Attributes:
        encode: codes [w], int8 of {−1, 0, 1} → bytes.
        decode: bytes, w, number of zeros → codes [w]; raises ChunkError where they do not fit.
        version: the first of the format that has it.
        most_weights: of a tensor that may be stored by it.
    """

    name: str
    encode: Encode
    decode: Decode
    version: int = 1
    most_weights: int = MAX_TERNARY_WEIGHTS


CODECS: Mapping[int, Codec] = {
    1: Codec("trits", encode_trits, decode_trits),
    2: Codec("trits-deflate", encode_deflated_trits, decode_deflated_trits),
    3: Codec("mask-deflate", encode_mask, decode_mask),
    4: Codec("gaps-deflate", encode_gaps, decode_gaps),
    5: Codec("mask-ans", encode_ans, decode_ans, version=2, most_weights=MAX_ANS_WEIGHTS),
}


@dataclass(frozen=True, slots=True)
class Chunk:
    """What the manifest says of one chunk: its length in the stored codes, and how many of its codes are 0."""

    size_bytes: int
    zeros: int


@dataclass(frozen=True, slots=True)
class EncodedCodes:
    """The codes of one tensor as they are stored.

    Attributes:
        codec: its number.
        payload: the chunks back to back.
    """

    codec: int
    chunks: tuple[Chunk, ...]
    payload: bytes | memoryview


def worthwhile_codecs(sizes: Collection[int]) -> tuple[int, ...]:
    """The codecs to try for a network of tensors with so many weights each.

    A codec that only small tensors may have is slow to decode. It is worth that where those tensors hold a tenth of all
    weights; below, it would save some tenths of a per cent and could double the time that the network is decoded in.
    """
    least = sum(sizes) / _SMALL_SHARE
    return tuple(
        number for number, codec in CODECS.items() if sum(size for size in sizes if size <= codec.most_weights) >= least
    )


def encode_smallest(
    codes: NDArray[np.int8], chunk_weights: int = CHUNK_WEIGHTS, codecs: Collection[int] = tuple(CODECS)
) -> EncodedCodes:
    """Encode codes [w] with that of the codecs that makes fewest bytes of them, between equals the lower number."""
    fitting = (number for number in codecs if codes.size <= CODECS[number].most_weights)
    tried = (encode(codes, number, chunk_weights) for number in fitting)
    allowed = (made for made in tried if len(made.payload) * MAX_WEIGHTS_PER_BYTE >= codes.size)
    return min(allowed, key=lambda made: len(made.payload))


def encode(codes: NDArray[np.int8], codec: int, chunk_weights: int = CHUNK_WEIGHTS) -> EncodedCodes:
    """Encode codes [w], int8 of {−1, 0, 1}, with one codec."""
    parts = [codes[start : start + chunk_weights] for start in range(0, codes.size, chunk_weights)]
    encoded = [CODECS[codec].encode(part) for part in parts]
    chunks = tuple(
        Chunk(len(made), part.size - int(np.count_nonzero(part))) for part, made in zip(parts, encoded, strict=True)
    )
    return EncodedCodes(codec, chunks, b"".join(encoded))


def decode(stored: EncodedCodes, weights: int, chunk_weights: int, *, threads: int = 1) -> NDArray[np.int8]:
    """Decode `weights` codes, chunk by chunk; `threads` chunks at a time, with the same result.

    Raises:
        ChunkError: a chunk is not what its counts say; the message names the first such chunk.
    """
    codes = np.empty(weights, np.int8)
    chunks = stored.chunks
    payload = memoryview(stored.payload)
    begins = accumulate((chunk.size_bytes for chunk in chunks), initial=0)

    def fill(index: int, begin: int) -> None:
        part = codes[index * chunk_weights : (index + 1) * chunk_weights]
        piece = payload[begin : begin + chunks[index].size_bytes]
        part[:] = decode_chunk(stored.codec, index, chunks[index], piece, part.size)

    if threads == 1 or len(chunks) == 1:
        for index, begin in zip(range(len(chunks)), begins, strict=False):
            fill(index, begin)
    else:
        # numpy and zlib let go of the interpreter while they work on a chunk.
        with ThreadPoolExecutor(min(threads, len(chunks))) as pool:
            for _ in pool.map(fill, range(len(chunks)), begins):
                pass
    return codes


def decode_chunk(codec: int, index: int, chunk: Chunk, piece: bytes | memoryview, weights: int) -> NDArray[np.int8]:
    """Decode the `weights` codes of the chunk with this index alone.

    Raises:
        ChunkError: it is not what its counts say; the message names it.
    """
    try:
        return CODECS[codec].decode(piece, weights, chunk.zeros)
    except ChunkError as error:
        raise ChunkError(f"chunk {index}: {error}") from None
