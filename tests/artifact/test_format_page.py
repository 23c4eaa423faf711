"""docs/format.md is computed again: every example, the limits, the table of codecs."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from sterna.artifact import Artifact, limits
from sterna.artifact.codec import CODECS, EncodedCodes, decode, encode
from sterna.artifact.manifest import VERSIONS
from sterna.compress.compress import ARTIFACT_MEDIA_TYPE

PAGE = (Path(__file__).parents[2] / "docs" / "format.md").read_text(encoding="utf-8")


def examples(kind):
    return re.findall(rf"```example {kind}\n(.*?)```", PAGE, re.DOTALL)


def codes_of(line):
    codes = []
    for word in line.split()[1:]:
        code, _, count = word.partition("*")
        codes += [int(code)] * int(count or 1)
    return np.array(codes, np.int8)


@pytest.mark.parametrize("number", CODECS)
def test_examples_of_the_codecs(number):
    found = examples(f"codec={number}")
    assert found
    for example in found:
        codes_line, bytes_line = example.splitlines()
        codes = codes_of(codes_line)
        payload = bytes.fromhex("".join(bytes_line.split()[1:]))
        chunks = encode(codes, number).chunks  # their zeros; their lengths may differ between builds of zlib
        zeros = chunks[0].zeros
        assert np.array_equal(CODECS[number].decode(payload, codes.size, zeros), codes)
        if number in {1, 5}:
            assert encode(codes, number).payload == payload


def test_the_whole_file(page_file):
    [table] = examples("tensors")
    with Artifact(page_file) as artifact:
        data = page_file[artifact._header.data_start :]
        for line in table.splitlines():
            name, kind, shape, begin, end, *content = line.split()
            stored = artifact._header.tensors[name]
            assert stored.element_type.name == kind
            assert stored.shape == tuple(json.loads(shape))
            assert (stored.begin, stored.end) == (int(begin), int(end))
            assert data[stored.begin : stored.end] == bytes.fromhex("".join(content))
        assert artifact.dense("fc.weight").tolist() == [[2, 0, -2], [0, 0, 0.25]]
        last = artifact._header.tensors["sterna/graph"]
        assert (last.begin, last.end) == (int(end), len(data))


def test_the_manifest_of_the_whole_file(page_file):
    [text] = examples("ternary")
    header = json.loads(page_file[8 : 8 + int.from_bytes(page_file[:8], "little")])
    assert f'"ternary":{{"fc.weight":{text.strip()}}}' in header["__metadata__"]["sterna.manifest"]


def test_how_a_file_begins(page_file):
    assert page_file[8:].startswith(b'{"__metadata__":{"sterna.manifest":"')


def test_the_table_of_codecs():
    rows = re.findall(r"^\| (\d) \| `([a-z-]+)` \|", PAGE, re.MULTILINE)
    assert {int(number): name for number, name in rows} == {number: codec.name for number, codec in CODECS.items()}


def test_limits():
    assert "at most 16 MiB (safetensors itself" in PAGE
    assert limits.MAX_HEADER_BYTES == 16 * 2**20
    assert "length of the text, at most 16 MiB" in PAGE
    assert limits.MAX_GRAPH_JSON_BYTES == 16 * 2**20
    assert "1 to 1024 characters, a shape at most 16 sizes, the file at most 131 072 stored tensors" in PAGE
    assert (limits.MAX_NAME_CHARACTERS, limits.MAX_DIMENSIONS, limits.MAX_STORED_TENSORS) == (1024, 16, 131072)
    assert "1 … 2^24" in PAGE
    assert limits.MAX_CHUNK_WEIGHTS == 2**24
    assert "at most 2^32 weights" in PAGE
    assert limits.MAX_TERNARY_WEIGHTS == 2**32
    assert "1024 · (bytes of the codes) MUST be at least the number of weights" in PAGE
    assert limits.MAX_WEIGHTS_PER_BYTE == 1024
    assert "A tensor of codec 5 MUST have at most 16 384 weights" in PAGE
    assert limits.MAX_ANS_WEIGHTS == CODECS[5].most_weights == 16384


def test_versions():
    rows = re.findall(r"^\| (\d) \| (?:all of this page but|the same and) codec (\d)", PAGE, re.MULTILINE)
    assert rows == [("1", "5"), ("2", "5")]
    assert {number: codec.version for number, codec in CODECS.items()} == {1: 1, 2: 1, 3: 1, 4: 1, 5: 2}
    assert VERSIONS == (1, 2)


def test_decoding_side_by_side_is_decoding_in_a_row():
    codes = np.tile(np.array([1, 0, -1, 0, 0, 1, 0], np.int8), 9)
    made = encode(codes, 3, 10)
    alone, begin = [], 0
    for chunk in made.chunks:
        weights = min(10, codes.size - 10 * len(alone))
        piece = made.payload[begin : begin + chunk.size_bytes]
        alone.append(decode(EncodedCodes(3, (chunk,), piece), weights, 10))
        begin += chunk.size_bytes
    assert np.array_equal(np.concatenate(alone), codes)


def test_the_media_type_is_the_one_that_services_give():
    assert re.findall(r"media type `([^`]+)`", PAGE) == [ARTIFACT_MEDIA_TYPE]
