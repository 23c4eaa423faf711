"""Codec 5 against a reader and a writer spelled out from docs/format.md, its size beside the least, refusals."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sterna.artifact.ans import decode_ans, encode_ans
from sterna.artifact.chunk_error import ChunkError


def slots_by_the_page(weights, zeros):
    """Section 5.4, number 2: f and F by number of ones."""
    nonzeros = weights - zeros
    f = [1 + (2**28 - 2**16) * nonzeros**c * zeros ** (16 - c) // weights**16 for c in range(17)]
    return f, [sum(math.comb(16, a) * f[a] for a in range(c)) for c in range(18)]


def place_by_the_page(mask):
    ones = [bit for bit in range(16) if mask >> bit & 1]
    return sum(math.comb(bit, j) for j, bit in enumerate(ones, 1)), len(ones)


def encode_by_the_page(codes):
    """Section 5.4, numbers 1 to 4, one step at a time on the whole integer."""
    f, start = slots_by_the_page(len(codes), codes.count(0))
    signs = [code for code in codes if code]
    x = sum((code < 0) << j for j, code in enumerate(signs))
    groups = [codes[i : i + 16] for i in range(0, len(codes), 16)]
    for group in reversed(groups):
        i, c = place_by_the_page(sum((code != 0) << bit for bit, code in enumerate(group)))
        x = x // f[c] * 2**28 + start[c] + f[c] * i + x % f[c]
    return x.to_bytes(max(1, math.ceil(x.bit_length() / 8)), "little")


def decode_by_the_page(payload, weights, zeros):
    f, start = slots_by_the_page(weights, zeros)
    x = int.from_bytes(payload, "little")
    mask = []
    for _ in range(math.ceil(weights / 16)):
        slot = x % 2**28
        c = max(c for c in range(17) if start[c] <= slot)
        i, rest = divmod(slot - start[c], f[c])
        x = f[c] * (x // 2**28) + rest
        mask += [MASKS[c][i] >> bit & 1 for bit in range(16)]
    signs = iter([-1 if x >> j & 1 else 1 for j in range(weights - zeros)])
    return [next(signs) if one else 0 for one in mask[:weights]]


MASKS = [[mask for mask in range(2**16) if mask.bit_count() == c] for c in range(17)]


@st.composite
def ternary_codes(draw, most=700):
    """Any length and any number of zeros from none to all; signs balanced or not."""
    weights = draw(st.integers(1, most))
    zeros = draw(st.one_of(st.integers(0, weights), st.sampled_from([0, weights])))
    negative = draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    codes = np.where(random.random(weights) < negative, -1, 1)
    codes[random.permutation(weights)[:zeros]] = 0
    return codes.astype(np.int8)


@settings(max_examples=150, deadline=None)
@given(codes=ternary_codes())
def test_it_is_what_the_page_says(codes):
    payload = encode_ans(codes)
    zeros = codes.tolist().count(0)
    assert payload == encode_by_the_page(codes.tolist())
    assert decode_by_the_page(payload, codes.size, zeros) == codes.tolist()
    assert decode_ans(payload, codes.size, zeros).tolist() == codes.tolist()


def test_masks_lie_in_the_order_of_the_page():
    for masks in MASKS:
        assert [place_by_the_page(mask)[0] for mask in masks] == list(range(len(masks)))


@settings(max_examples=300, deadline=None)
@given(codes=ternary_codes(200), payload=st.binary(min_size=1, max_size=60), data=st.data())
def test_what_is_not_refused_is_the_only_encoding(codes, payload, data):
    zeros = codes.tolist().count(0)
    sound = bytearray(encode_ans(codes))
    sound[data.draw(st.integers(0, len(sound) - 1))] ^= data.draw(st.integers(0, 255))
    for tried in (payload, bytes(sound)):
        try:
            decoded = decode_ans(tried, codes.size, zeros)
        except ChunkError:
            continue
        assert encode_ans(decoded) == tried
        assert decoded.tolist().count(0) == zeros


@pytest.mark.parametrize("weights", [64, 576, 1536, 4096, 12288, 16384])
@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.5, 0.7, 0.9, 0.95, 0.99])
def test_it_is_within_three_bytes_of_the_number_of_such_tensors(weights, sparsity):
    random = np.random.default_rng(weights)
    nonzeros = weights - round(sparsity * weights)
    codes = np.zeros(weights, np.int8)
    codes[random.permutation(weights)[:nonzeros]] = random.integers(0, 2, nonzeros) * 2 - 1
    needed = math.ceil((math.log2(math.comb(weights, nonzeros)) + nonzeros) / 8)
    payload = encode_ans(codes)
    assert len(payload) <= needed + 3
    assert decode_ans(payload, weights, weights - nonzeros).tolist() == codes.tolist()


def test_zeros_alone_are_one_byte():
    for weights in (1, 16, 17, 16384):
        assert encode_ans(np.zeros(weights, np.int8)) == b"\0"
        assert decode_ans(b"\0", weights, weights).tolist() == [0] * weights


def refuse(payload, weights, zeros, message):
    with pytest.raises(ChunkError, match=message):
        decode_ans(payload, weights, zeros)


def integer(value):
    return value.to_bytes(max(1, math.ceil(value.bit_length() / 8)), "little")


def test_lengths_that_no_encoding_has():
    refuse(b"", 24, 22, "an integer of 0 bytes, 1 … 8 are allowed for 24 weights")
    refuse(bytes(8) + b"\1", 24, 22, "an integer of 9 bytes, 1 … 8 are allowed")
    refuse(b"\x07\xdf\x24\xe6\x00", 24, 22, "more bytes than it needs")
    refuse(b"\0\0", 24, 24, "more bytes than it needs")


def test_the_greatest_length_is_reached_by_no_more_than_the_limit():
    # One code that is not 0 where the model expects it least: a group's mask has a single slot.
    codes = np.zeros(16384, np.int8)
    codes[-16:] = -1
    payload = encode_ans(codes)
    assert len(payload) <= (16 + 28 * 1024 + 7) // 8
    assert decode_ans(payload, 16384, 16384 - 16).tolist() == codes.tolist()


def test_a_slot_of_no_mask():
    end = slots_by_the_page(24, 22)[1][17]
    refuse(integer(end), 24, 22, f"group 0: slot {end} is that of no mask")
    f, start = slots_by_the_page(24, 22)
    x = end // f[1] * 2**28 + start[1] + end % f[1]  # one step leads from here to the same slot
    refuse(integer(x), 24, 22, f"group 1: slot {end} is that of no mask")


def test_another_number_of_zeros():
    refuse(integer(0), 24, 22, "24 zeros found, 22 declared")


def test_more_signs_than_codes_that_are_not_zero():
    f, start = slots_by_the_page(24, 22)

    def example_of_the_page(signs):
        x = start[1] + 4 * f[1] + signs
        return integer(x // f[1] * 2**28 + start[1] + 5 * f[1] + x % f[1])

    assert example_of_the_page(1) == bytes.fromhex("07df24e6")
    for signs, two in enumerate(([1, 1], [-1, 1], [1, -1], [-1, -1])):
        expected = [0] * 5 + two[:1] + [0] * 14 + two[1:] + [0] * 3
        assert decode_ans(example_of_the_page(signs), 24, 22).tolist() == expected
    refuse(example_of_the_page(4), 24, 22, "3 sign bits for 2 codes that are not 0")


def test_ones_beyond_the_last_weight():
    f, start = slots_by_the_page(12, 11)
    refuse(integer(start[1] + 12 * f[1]), 12, 11, "padding of the mask")
    assert decode_ans(integer(start[1] + 11 * f[1]), 12, 11).tolist() == [0] * 11 + [1]


def test_a_long_integer_is_refused_before_it_is_read():
    payload = memoryview(b"\xff" * 2**24)
    tracemalloc.start()
    refuse(payload, 16384, 8000, "bytes, 1 … 4632 are allowed")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**16
