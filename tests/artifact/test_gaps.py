"""Gaps around the escape, and what is refused."""

import numpy as np
import pytest

from sterna.artifact.chunk_error import ChunkError
from sterna.artifact.deflate import deflate_symbols, inflate_at_most
from sterna.artifact.gaps import decode_gaps, encode_gaps


@pytest.mark.parametrize(
    ("gap", "symbols"),
    [
        (0, [0]),
        (254, [254]),
        (255, [255, 0]),
        (256, [255, 1]),
        (509, [255, 254]),
        (510, [255, 255, 0]),
    ],
)
def test_symbols_of_a_gap(gap, symbols):
    codes = np.zeros(gap + 3, np.int8)
    codes[gap] = -1
    payload = encode_gaps(codes)
    assert list(inflate_at_most(payload[:-1], 10)) == symbols
    assert payload[-1] == 1
    assert decode_gaps(payload, codes.size, codes.size - 1).tolist() == codes.tolist()


def test_written_zeros_at_the_end_are_refused():
    with pytest.raises(ChunkError, match="zeros after the last"):
        decode_gaps(deflate_symbols(b"\x00\xff") + b"\x00", 400, 399)


def test_a_code_beyond_the_end_is_refused():
    with pytest.raises(ChunkError, match="a code at 10 of 10"):
        decode_gaps(deflate_symbols(b"\x0a") + b"\x00", 10, 9)


def test_more_symbols_than_the_counts_allow_are_not_inflated():
    with pytest.raises(ChunkError, match="more than the 3 bytes"):
        decode_gaps(deflate_symbols(bytes(100)) + b"\x00", 300, 298)
