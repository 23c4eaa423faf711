"""Inflation is bounded by what is declared."""

import tracemalloc
import zlib

import pytest

from sterna.artifact.chunk_error import ChunkError
from sterna.artifact.deflate import deflate_symbols, deflate_text, inflate, inflate_at_most


def raw(data, level=9):
    stream = zlib.compressobj(level, wbits=-15)
    return stream.compress(data) + stream.flush()


@pytest.mark.parametrize("made", [deflate_symbols, deflate_text, raw])
@pytest.mark.parametrize("data", [b"", b"a", bytes(range(256)) * 700, bytes(70_000)])
def test_round_trip(made, data):
    assert inflate(made(data), len(data)) == data
    assert zlib.decompress(made(data), wbits=-15) == data


def test_independent_symbols_are_not_searched_for_repetitions():
    data = bytes(1000)
    assert len(deflate_text(data)) < 20 < 1000 // 8 <= len(deflate_symbols(data))


@pytest.mark.parametrize("declared", [0, 1, 99, 101, 2**40])
def test_any_other_length_is_refused(declared):
    with pytest.raises(ChunkError):
        inflate(raw(bytes(100)), declared)


def test_a_bomb_is_refused_before_it_swells():
    bomb = raw(bytes(64 * 2**20))
    tracemalloc.start()
    with pytest.raises(ChunkError, match="more than the 1000 bytes"):
        inflate_at_most(bomb, 1000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_truncated_stream_is_refused(cut):
    with pytest.raises(ChunkError):
        inflate_at_most(raw(bytes(range(50)))[:-cut], 1000)


def test_bytes_after_the_stream_are_refused():
    with pytest.raises(ChunkError, match="2 bytes follow"):
        inflate(raw(b"abc") + b"xy", 3)
    with pytest.raises(ChunkError, match="bytes follow"):
        inflate(raw(b"abc") + raw(b"d"), 3)


def test_what_is_no_stream_is_refused():
    with pytest.raises(ChunkError, match="invalid"):
        inflate(b"\xff\xff\xff", 3)
