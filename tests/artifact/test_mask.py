"""The mask's expansion against a loop over bits, and what it refuses."""

import numpy as np
import pytest

from sterna.artifact.chunk_error import ChunkError
from sterna.artifact.deflate import deflate_symbols
from sterna.artifact.mask import decode_mask, encode_mask


def expand_by_hand(mask, signs, weights):
    sign = iter([signs[bit // 8] >> bit % 8 & 1 for bit in range(8 * len(signs))])
    return [(-1 if next(sign) else 1) if mask[i // 8] >> i % 8 & 1 else 0 for i in range(weights)]


def test_every_mask_byte_at_every_offset_of_the_signs():
    random = np.random.default_rng(3)
    mask = random.permutation(np.arange(256, dtype=np.uint8).repeat(16)).tobytes()
    nonzeros = 16 * 8 * 128
    signs = random.bytes(nonzeros // 8)
    decoded = decode_mask(deflate_symbols(mask) + signs, 8 * len(mask), 8 * len(mask) - nonzeros)
    assert decoded.tolist() == expand_by_hand(mask, signs, 8 * len(mask))


def test_bits_beyond_the_last_weight_are_refused():
    with pytest.raises(ChunkError, match="padding of the mask"):
        decode_mask(deflate_symbols(b"\x11") + b"\x00", 4, 2)


def test_signs_beyond_the_last_nonzero_are_refused():
    with pytest.raises(ChunkError, match="padding of the signs"):
        decode_mask(deflate_symbols(b"\x03") + b"\x04", 8, 6)


def test_a_chunk_shorter_than_its_signs_is_refused():
    with pytest.raises(ChunkError, match="9 signs need 2 bytes, the chunk has 1"):
        decode_mask(b"\x03", 9, 0)


def test_the_signs_are_stored_raw():
    codes = np.array([-1, 1, 1, -1] * 2, np.int8)
    assert encode_mask(codes).endswith(bytes([0b10011001]))
