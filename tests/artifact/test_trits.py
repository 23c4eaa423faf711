"""Trits against a spelled-out sum of powers of three."""

import numpy as np
import pytest

from sterna.artifact.chunk_error import ChunkError
from sterna.artifact.trits import decode_trits, encode_trits


def test_every_byte_is_the_sum_of_its_digits():
    digits = {0: 0, 1: 1, 2: -1}
    for value in range(243):
        codes = np.array([digits[value // 3**place % 3] for place in range(5)], np.int8)
        assert encode_trits(codes) == bytes([value])
        assert decode_trits(bytes([value]), 5, codes.tolist().count(0)).tolist() == codes.tolist()


@pytest.mark.parametrize("value", [243, 255])
def test_bytes_that_are_not_five_trits_are_refused(value):
    with pytest.raises(ChunkError, match=f"byte {value} is not five trits"):
        decode_trits(bytes([value]), 5, 0)


def test_padding_that_is_not_zero_is_refused():
    with pytest.raises(ChunkError, match="padding"):
        decode_trits(bytes([1 + 3]), 1, 0)
