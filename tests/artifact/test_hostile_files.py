"""Attacks on whole files: cut off anywhere, flipped anywhere, lying within true digests, swelling.

A file is refused with one of three typed errors, or it decodes to what its counts say: never another exception, never
memory beyond what it declares.
"""

import tracemalloc
import zlib

import numpy as np
import pytest

from sterna.artifact import Artifact, write_artifact
from sterna.errors import ArtifactCorrupt, ArtifactDigestMismatch, ArtifactVersionUnsupported, UnsupportedFormat

REFUSALS = (ArtifactCorrupt, ArtifactDigestMismatch, ArtifactVersionUnsupported)


def verify(file):
    with Artifact(bytes(file)) as artifact:
        artifact.verify()


def test_cut_off_anywhere(page_file):
    for end in range(len(page_file)):
        with pytest.raises(ArtifactCorrupt):
            Artifact(page_file[:end])


def test_a_model_in_place_of_an_artifact_is_told_so():
    with pytest.raises(UnsupportedFormat, match=r"zip archive, as a model \(.pt2\)") as caught:
        Artifact(b"PK\x03\x04" + bytes(100))
    assert "sterna compress" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"\x08\x08\x12\x07pytorch" + bytes(100), "an ONNX model"),
        (b"\x80\x02}q\x00." + bytes(100), "a pickle"),
        (b"GGUF\x03\x00\x00\x00" + bytes(100), "no safetensors file"),
        (b"# A page\n\nof words\n", "no safetensors file"),
    ],
)
def test_any_other_file_is_told_what_it_is_and_what_is_read(content, found):
    with pytest.raises(UnsupportedFormat, match=rf"^{found}.*; this reads artifacts \(\.sterna\)$"):
        Artifact(content)


def test_lengthened(page_file):
    with pytest.raises(ArtifactCorrupt, match="the file holds"):
        Artifact(page_file + b"\0")


def test_every_flipped_bit_is_found(page_file):
    """In the length, the header, the manifest, its digest, the padding, the codes, scales, dense tensors and graph."""
    for position in range(len(page_file)):
        file = bytearray(page_file)
        file[position] ^= 1 << position % 8
        with pytest.raises((*REFUSALS, UnsupportedFormat)):
            verify(file)


def test_flipped_bits_in_larger_tensors(tmp_path, mixed_contents):
    write_artifact(tmp_path / "m", mixed_contents)
    sound = (tmp_path / "m").read_bytes()
    data_start = 8 + int.from_bytes(sound[:8], "little")
    for position in range(data_start, len(sound)):
        file = bytearray(sound)
        file[position] ^= 0x10
        with pytest.raises(ArtifactDigestMismatch):
            verify(file)


def test_random_damage_is_refused(page_file):
    chance = np.random.default_rng(5)
    for _ in range(400):
        file = bytearray(page_file)
        for start in chance.integers(0, len(file), chance.integers(1, 5)):
            piece = chance.bytes(chance.integers(0, 9))
            file[start : start + chance.choice([0, len(piece), 8])] = piece
        if file != page_file:
            with pytest.raises((*REFUSALS, UnsupportedFormat)):
                verify(file)


@pytest.mark.parametrize("codec", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("seed", range(40))
def test_random_codes_within_true_digests(forge, codec, seed):
    chance = np.random.default_rng(seed)
    forge.manifest["version"] = 2
    forge.manifest["ternary"]["fc.weight"]["codec"] = codec
    forge.store("fc.weight/codes", chance.bytes(chance.integers(1, 10)))
    with Artifact(forge.build()) as artifact:
        try:
            codes = artifact.codes("fc.weight")
        except ArtifactCorrupt:
            return
        assert np.count_nonzero(codes == 0) == 3


def test_a_refusal_says_where_and_what_to_do(forge):
    forge.store("fc.weight/codes", b"\x13\xff")
    with Artifact(forge.build()) as artifact, pytest.raises(ArtifactCorrupt) as caught:
        artifact.codes("fc.weight")
    assert str(caught.value) == "the codes of 'fc.weight': chunk 0: byte 255 is not five trits"
    assert caught.value.hint


@pytest.mark.parametrize("zeros", [0, 2, 4, 6])
def test_a_lying_count_of_zeros(forge, zeros):
    forge.manifest["ternary"]["fc.weight"]["chunks"] = [[2, zeros]]
    with Artifact(forge.build()) as artifact, pytest.raises(ArtifactCorrupt, match=f"3 zeros found, {zeros} declared"):
        artifact.verify()


def test_each_digest_is_checked(forge):
    for name in ("fc.bias", "fc.weight/scale", "fc.weight/codes"):
        kept = forge.stored[name]
        forge.stored[name] = bytes([kept[0] ^ 1]) + kept[1:]
        with Artifact(forge.build()) as artifact, pytest.raises(ArtifactDigestMismatch, match="CRC-32"):
            artifact.dense(name.split("/")[0])
        forge.stored[name] = kept
    forge.build()
    forge.manifest["data_sha256"] = "0" * 64
    with Artifact(forge.join(forge.seal(), forge.data)) as artifact, pytest.raises(ArtifactDigestMismatch) as caught:
        artifact.verify()
    assert "SHA-256 of the data" in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_scale_that_is_no_number(forge, value):
    scale = np.array([1, value], np.float32).tobytes()
    forge.stored["fc.weight/scale"] = scale
    forge.manifest["ternary"]["fc.weight"]["scale_crc32"] = zlib.crc32(scale)
    with Artifact(forge.build()) as artifact, pytest.raises(ArtifactCorrupt, match="NaN or infinite"):
        artifact.scale("fc.weight")


def test_a_truth_value_of_two(tmp_path, mixed_contents):
    path = tmp_path / "m"
    write_artifact(path, mixed_contents)
    file = bytearray(path.read_bytes())
    with Artifact(bytes(file)) as artifact:
        flags = artifact._header.tensors["flags"]
        start = artifact._header.data_start
        crc32 = artifact.manifest.dense["flags"]
    file[start + flags.begin] = 2
    with Artifact(bytes(file)) as artifact:
        artifact.manifest.dense["flags"] = zlib.crc32(file[start + flags.begin : start + flags.end])
        assert artifact.manifest.dense["flags"] != crc32
        with pytest.raises(ArtifactCorrupt, match="BOOL and holds bytes above 1"):
            artifact.dense("flags")


def peak_bytes(action):
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def refused(file):
    with pytest.raises(ArtifactCorrupt):
        verify(file)


def swollen(data):
    stream = zlib.compressobj(9, wbits=-15)
    return stream.compress(data) + stream.flush()


@pytest.mark.parametrize("codec", [2, 3, 4, 5])
def test_codes_that_swell_are_refused_before_they_do(forge, codec):
    forge.manifest["version"] = 2
    forge.manifest["ternary"]["fc.weight"]["codec"] = codec
    forge.store("fc.weight/codes", swollen(bytes(64 * 2**20)) + b"\0")
    file = forge.build()
    assert peak_bytes(lambda: refused(file)) < 2 * len(file) + 2**20


def test_a_graph_that_swells_is_refused_before_it_does(forge):
    forge.store("sterna/graph", swollen(bytes(64 * 2**20)))
    file = forge.build()
    assert peak_bytes(lambda: refused(file)) < 2 * len(file) + 2**20


def test_a_shape_that_swells_is_refused_at_opening(forge):
    entry = forge.manifest["ternary"]["fc.weight"]
    forge.manifest["chunk_weights"] = 2**24
    entry.update(shape=[2**16, 2**16], chunks=[[1, 2**24]] * 2**8)
    file = forge.build()

    def open_it():
        with pytest.raises(ArtifactCorrupt, match="at most 1024 weights a byte"):
            Artifact(file)

    assert peak_bytes(open_it) < 2**20
