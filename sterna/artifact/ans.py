"""The zero mask and the signs of a small tensor as one integer, without a table (docs/format.md, section 5.4).

A DEFLATE stream begins with its table of code lengths, which a tensor of a few thousand weights does not earn back.
Here the count of zeros, which the manifest has anyway, is the whole model (asymmetric numeral systems: J. Duda, 2013).

    group    16 codes: how many are not 0, then which of the masks with so many ones (Cover, 1973)
    f        how many of 2^28 slots a mask with so many ones has: more for those that the count makes likely
    encode   X begins as the signs; X → ⌊X ÷ f⌋ · 2^28 + first slot of the mask + X mod f, from the last group on
    decode   the lowest 28 bits are a slot and so a mask; X → f · ⌊X ÷ 2^28⌋ + place within the mask's slots

A step takes 28 bits away below and multiplies by f what is above. So a piece of 16 groups is decoded from its lowest
448 bits alone, and what is above them is multiplied once, by the product of the f: the integers in the loop stay small.
Exact enumeration (an integer below C(w, k)) saves a byte or two more a tensor, and decodes up to forty times slower.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from math import comb, prod

import numpy as np
from numpy.typing import NDArray

from sterna.artifact.chunk_error import ChunkError
from sterna.artifact.signs import pack_signs

_GROUP = 16
_SLOT_BITS = 28
_SLOTS = 2**_SLOT_BITS
_PIECE = 16
"""Groups that are coded on small integers before the whole one is touched; the result does not depend on it."""

_MASKS = tuple(comb(_GROUP, ones) for ones in range(_GROUP + 1))
_FIRST = tuple(accumulate(_MASKS, initial=0))
"""By number of ones: where the masks with so many begin in `_masks`."""


def encode_ans(codes: NDArray[np.int8]) -> bytes:
    """Encode codes [w] of {−1, 0, 1}."""
    nonzero = codes != 0
    signs = codes[nonzero]
    model = _model(codes.size, signs.size)
    bits = np.zeros(-(-codes.size // _GROUP) * _GROUP, np.bool_)
    bits[: codes.size] = nonzero
    masks = np.packbits(bits, bitorder="little").view("<u2")
    slots = [model.slots_of(place) for place in _places().take(masks).tolist()]
    number = int.from_bytes(pack_signs(signs), "little")
    for begin in reversed(range(0, len(slots), _PIECE)):
        piece = slots[begin : begin + _PIECE]
        high, low = divmod(number, prod(count for _, count in piece))
        for first, count in reversed(piece):
            quotient, rest = divmod(low, count)
            low = (quotient << _SLOT_BITS) + first + rest
        number = (high << _SLOT_BITS * len(piece)) + low
    return number.to_bytes(max(1, -(-number.bit_length() // 8)), "little")


def decode_ans(payload: bytes | memoryview, weights: int, zeros: int) -> NDArray[np.int8]:
    """Decode `weights` codes.

    Raises:
        ChunkError: a wrong length, a slot of no mask, padding that is not 0, or another number of zeros or of signs.
    """
    nonzeros = weights - zeros
    groups = -(-weights // _GROUP)
    most_bytes = -(-(nonzeros + _SLOT_BITS * groups) // 8)
    if not 0 < len(payload) <= most_bytes:
        raise ChunkError(f"an integer of {len(payload)} bytes, 1 … {most_bytes} are allowed for {weights} weights")
    if len(payload) > 1 and payload[-1] == 0:
        raise ChunkError("the integer has more bytes than it needs")
    places, signs = _take_places(int.from_bytes(payload, "little"), groups, _model(weights, nonzeros))
    masks = _masks().take(places)
    found = int(np.bitwise_count(masks).sum(dtype=np.int64))
    if found != nonzeros:
        raise ChunkError(f"{weights - found} zeros found, {zeros} declared")
    if signs >> nonzeros:
        raise ChunkError(f"{signs.bit_length()} sign bits for {nonzeros} codes that are not 0")
    codes = np.unpackbits(masks.view(np.uint8), bitorder="little").view(np.int8)
    if codes[weights:].any():
        raise ChunkError("the padding of the mask is not 0")
    sign_bytes = np.frombuffer(signs.to_bytes(-(-nonzeros // 8), "little"), np.uint8)
    negative = np.unpackbits(sign_bytes, count=nonzeros, bitorder="little")
    codes[np.flatnonzero(codes)] = 1 - 2 * negative.view(np.int8)
    return codes[:weights]


@dataclass(frozen=True, slots=True)
class _Model:
    """Which slots belong to which mask.

    Attributes:
        counts: f, by number of ones: the slots of each mask with so many.
        starts: by number of ones: the first slot of the first mask with so many; one more for the end.
    """

    counts: tuple[int, ...]
    starts: tuple[int, ...]

    def slots_of(self, place: int) -> tuple[int, int]:
        """The first slot and the number of slots of the mask at this place of `_masks`."""
        ones = bisect_right(_FIRST, place) - 1
        count = self.counts[ones]
        return self.starts[ones] + (place - _FIRST[ones]) * count, count


def _model(weights: int, nonzeros: int) -> _Model:
    """The slots that masks have where `nonzeros` of `weights` codes are not 0; each has one at least."""
    shared, whole = _SLOTS - 2**_GROUP, weights**_GROUP
    counts = tuple(
        1 + shared * nonzeros**ones * (weights - nonzeros) ** (_GROUP - ones) // whole for ones in range(_GROUP + 1)
    )
    starts = accumulate((masks * count for masks, count in zip(_MASKS, counts, strict=True)), initial=0)
    return _Model(counts, tuple(starts))


def _take_places(number: int, groups: int, model: _Model) -> tuple[list[int], int]:
    """The places of all masks in `_masks`, and what is left of the integer: the signs."""
    counts, starts, ends, first = model.counts, model.starts, model.starts[1:], _FIRST
    places: list[int] = []
    for begin in range(0, groups, _PIECE):
        size = min(_PIECE, groups - begin)
        high, low = number >> _SLOT_BITS * size, number & (1 << _SLOT_BITS * size) - 1
        product = 1
        for _ in range(size):
            slot = low & _SLOTS - 1
            ones = bisect_right(ends, slot)
            if ones > _GROUP:
                raise ChunkError(f"group {len(places)}: slot {slot} is that of no mask")
            count = counts[ones]
            index, within = divmod(slot - starts[ones], count)
            places.append(first[ones] + index)
            low = count * (low >> _SLOT_BITS) + within
            product *= count
        number = high * product + low
    return places, number


@cache
def _masks() -> NDArray[np.uint16]:
    """All masks of 16 codes, those with fewer ones first, then the smaller first, [65536]."""
    masks = np.arange(2**_GROUP, dtype="<u2")
    ordered: NDArray[np.uint16] = masks[np.argsort(np.bitwise_count(masks), kind="stable")]
    return ordered


@cache
def _places() -> NDArray[np.uint16]:
    """Where each mask is in `_masks`, [65536]."""
    places = np.empty(2**_GROUP, np.uint16)
    places[_masks()] = np.arange(2**_GROUP, dtype=np.uint16)
    return places
