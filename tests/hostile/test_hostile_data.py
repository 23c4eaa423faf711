"""Data files that lie."""

import io
import json
import struct
import zipfile

import numpy as np
import pytest

from sterna.errors import DataCorrupt, DataMismatch, DataTooLarge, DataUnsafe
from sterna.graph import Graph, Input, ValueRef
from sterna.intake import Limits, read_data

GRAPH = Graph((Input("x", "float32", (None, 2)),), {}, (), (ValueRef("x"),))
HEADER = b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }"


def npy(header: bytes = HEADER, body: bytes = bytes(24), version: bytes = b"\x01\x00") -> bytes:
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + body


def npz(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tensors(header: object, body: bytes = bytes(24)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def entry(**change):
    return {"dtype": "F32", "shape": [3, 2], "data_offsets": [0, 24], **change}


@pytest.fixture
def refuse(tmp_path):
    def check(content: bytes, error: type[Exception], words: str | None = None, limits: Limits | None = None) -> None:
        path = tmp_path / "data"
        path.write_bytes(content)
        with pytest.raises(error, match=words):
            read_data(path, GRAPH, limits or Limits())

    return check


def test_the_sound_ones_are_read(tmp_path):
    for content in (npz({"x.npy": npy()}), npz({"x.npy": npy()}, zipfile.ZIP_DEFLATED), tensors({"x": entry()})):
        path = tmp_path / "data"
        path.write_bytes(content)
        np.testing.assert_array_equal(read_data(path, GRAPH).inputs["x"], np.zeros((3, 2)))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    ("member", "error"),
    [
        (npy(HEADER.replace(b"3, 2", b"99999999999, 2")), DataCorrupt),
        (npy(HEADER.replace(b"3, 2", b"-3, 2")), DataCorrupt),
        (npy(HEADER.replace(b"3, 2", b"4, 2")), DataCorrupt),
        (npy(HEADER.replace(b"3, 2", b"1," * 40)), DataCorrupt),
        (npy(HEADER.replace(b"3, 2", b"0, 1" + b"0" * 30), b""), DataCorrupt),
        (npy(HEADER.replace(b"3, 2", b"0, 281474976710656, 281474976710656"), b""), DataCorrupt),
        (npy(HEADER.replace(b"<f4", b"|O")), DataUnsafe),
        (npy(HEADER.replace(b"<f4", b"<U1")), DataMismatch),
        (npy(HEADER.replace(b"'<f4'", b"[('a', '<f4')]")), DataCorrupt),
        (npy(HEADER.replace(b"False", b"__import__('os').system('true')")), DataCorrupt),
        (npy(b"(" * 60_000), DataCorrupt),
        (npy(version=b"\x03\x00"), DataCorrupt),
        (npy(body=bytes(23)), DataCorrupt),
        (npy(body=bytes(25)), DataCorrupt),
        (b"", DataCorrupt),
        (b"\x93NUMPY", DataCorrupt),
        (b"hello", DataCorrupt),
    ],
    ids=[
        "huge",
        "negative",
        "longer",
        "many axes",
        "huge and empty",
        "overflowing and empty",
        "objects",
        "text",
        "record",
        "code",
        "endless",
        "version",
        "short",
        "long",
        "empty",
        "truncated",
        "foreign",
    ],
)
def test_arrays_that_lie_are_refused(refuse, member, error, compression):
    refuse(npz({"x.npy": member}, compression), error)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_flipped_bits_are_found(refuse, compression):
    body = np.random.default_rng(0).bytes(24)
    content = bytearray(npz({"x.npy": npy(body=body)}, compression))
    place = content.find(b"x.npy") + 5
    length = struct.unpack_from("<L", content, 18)[0]
    content[place + length - 6] ^= 1
    refuse(bytes(content), DataCorrupt)


def test_bombs_are_refused_by_what_they_promise(refuse):
    bomb = npz({"x.npy": npy(HEADER.replace(b"3, 2", b"2000000, 2"), bytes(16_000_000))}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 50_000
    refuse(bomb, DataTooLarge, "at most 1000000", Limits(max_data_bytes=1_000_000))


def test_bombs_are_refused_by_how_much_they_would_grow(refuse):
    shape = HEADER.replace(b"3, 2", b"4000000, 2")
    bomb = npz({"x.npy": npy(shape, bytes(32_000_000))}, zipfile.ZIP_DEFLATED)
    refuse(bomb, DataTooLarge, "200 times as large as in the file")
    refuse(npz({"x.npy": npy(shape, bytes(31_000_000))}), DataCorrupt)  # not compressed, only wrong


def test_small_arrays_may_compress_as_well_as_they_like(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(npz({"x.npy": npy(HEADER.replace(b"3, 2", b"130000, 2"), bytes(1_040_000))}, zipfile.ZIP_DEFLATED))
    assert path.stat().st_size < 3000
    assert read_data(path, GRAPH).samples == 130_000


def test_bombs_cannot_grow_beyond_what_they_promise(refuse):
    content = bytearray(npz({"x.npy": npy(body=bytes(1_000_000))}, zipfile.ZIP_DEFLATED))
    entry_offset = content.rfind(b"x.npy") - 46
    for offset in (22, entry_offset + 24):  # header and directory say the length of a sound array
        content[offset : offset + 4] = struct.pack("<L", len(npy()))
    refuse(bytes(content), DataCorrupt)


def test_arrays_shorter_than_promised_do_not_show_old_memory(refuse):
    content = bytearray(npz({"x.npy": npy(body=bytes(16))}, zipfile.ZIP_DEFLATED))
    entry_offset = content.rfind(b"x.npy") - 46
    for offset in (22, entry_offset + 24):  # the CRC-32 is that of the short array
        content[offset : offset + 4] = struct.pack("<L", len(npy()))
    refuse(bytes(content), DataCorrupt, "promises 93 bytes and has 85")


def test_counts_are_bounded(refuse):
    limits = Limits(max_arrays=2)
    refuse(npz({f"a{index}.npy": npy() for index in range(3)}), DataTooLarge, "3 arrays", limits)
    refuse(tensors({f"a{index}": entry() for index in range(3)}), DataTooLarge, "3 arrays", limits)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (b"hello, world", "neither"),
        (npz({"x.npy": npy()})[:-30], "truncated"),
        (npz({"x.txt": b""}), "arrays alone"),
        (struct.pack("<Q", 2**60) + b"{}", "header"),
        (tensors(b"{"), "not JSON"),
        (tensors({"x": entry(data_offsets=[0, 28])}), "does not fit"),
        (tensors({"x": entry(data_offsets=[-24, 0])}), "offsets"),
        (tensors({"x": entry(data_offsets=[24, 0])}), "offsets"),
        (tensors({"x": entry(data_offsets=[0])}), "offsets"),
        (tensors({"x": entry(shape=[3, 3])}), "does not fit"),
        (tensors({"x": entry(shape=[-3, -2])}), "shape"),
        (tensors({"x": entry(shape=[True, 6])}), "shape"),
        (tensors({"x": entry(shape=[0, 10**30], data_offsets=[0, 0])}, b""), "shape that no array has"),
        (tensors({"x": entry(shape=[0, 2**48, 2**48], data_offsets=[0, 0])}, b""), "shape that no array has"),
        (tensors({"x": entry(dtype="F8_E4M3")}), "F8_E4M3"),
        (tensors({"x": entry(), "y": entry()}), "overlap"),
        (tensors({"x": entry()}, bytes(30)), "belong to no array"),
        (tensors({"x": entry(data_offsets=[4, 28])}, bytes(28)), "holes"),
        (tensors({"x": 3}), "data_offsets"),
    ],
)
def test_files_that_lie_are_refused(refuse, content, words):
    refuse(content, DataCorrupt, words)
