"""Sound files of every kind with bytes flipped, lost, doubled and swapped: read or refused by name, nothing else.

Most flips of a whole zip file die at its checksums, so members are spoilt, too, and zipped anew with the right ones.
The order is hypothesis' own and always the same: what fails here fails everywhere.
"""

import io
import struct
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sterna.errors import InputError
from sterna.intake import Limits, preflight
from tests.hostile.conftest import Sound, zipped

# What lies in a file may make it larger, but not by more than a test has time for.
LIMITS = Limits(max_model_bytes=2**24, max_data_bytes=2**24)
ODD = (
    b"",
    b"\0",
    b"\xff" * 8,
    b"\x7f\xff\xff\xff",
    struct.pack("<Q", 2**63),
    b"-1",
    b"1e999",
    b"NaN",
    b"[",
    b"{}",
    b'"',
)
KNOWN = {"", *(error.code for error in InputError.__subclasses__())}
Step = tuple[str, float, float, bytes]
steps = st.lists(
    st.tuples(
        st.sampled_from(["flip", "put", "insert", "cut", "double", "end"]),
        st.floats(0, 1),
        st.floats(0, 1),
        st.one_of(st.sampled_from(ODD), st.binary(min_size=1, max_size=8)),
    ),
    min_size=1,
    max_size=4,
)
fuzz = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def spoil(content: bytes, how: list[Step]) -> bytes:
    """Apply each step at its place; the second number says how long it is, mostly a few bytes."""
    for kind, where, length, odd in how:
        start = int(where * len(content))
        end = min(len(content), start + 1 + int(length**4 * 300))
        piece, tail = content[start:end], content[end:]
        match kind:
            case "flip":
                piece = bytes(byte ^ 1 << int(length * 7.99) for byte in piece[:1]) + piece[1:]
            case "put":
                piece = odd + piece[len(odd) :]
            case "insert":
                piece = odd + piece
            case "cut":
                piece = b""
            case "double":
                piece = piece + piece
            case "end":
                piece, tail = b"", b""
        content = content[:start] + piece + tail
    return content


def read_or_refuse(sound: Sound, model: bytes, data: bytes | None = None) -> str:
    """The code of the refusal; empty where there is none. Any other end of the reader ends the test."""
    path = None
    if data is not None:
        path = sound.folder / "data"
        path.write_bytes(data)
    try:
        preflight(sound.write(model), path, limits=LIMITS)
    except InputError as error:
        return error.code if len(str(error)) < 1000 else "a stranger is quoted at length"
    return ""


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return {"input": np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32), "target": np.arange(6) % 2}


def npz(arrays: dict[str, np.ndarray], save: Callable) -> bytes:
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


@fuzz
@given(how=steps)
def test_models(sound, how):
    assert read_or_refuse(sound, spoil(sound.save().read_bytes(), how)) in KNOWN


@fuzz
@given(how=steps, which=st.integers(0, 100))
def test_members_of_models(exported, tmp_path, how, which):
    sound = Sound(tmp_path, dict(exported))
    name = sorted(sound.members)[which % len(sound.members)]
    sound.members[name] = spoil(sound.members[name], how)
    assert read_or_refuse(sound, sound.save().read_bytes()) in KNOWN


@fuzz
@given(how=steps, kind=st.sampled_from(["npz", "deflated", "safetensors"]))
def test_data(sound, arrays, how, kind):
    whole = safetensors.numpy.save(arrays) if kind == "safetensors" else npz(
        arrays, np.savez if kind == "npz" else np.savez_compressed
    )  # fmt: skip
    assert read_or_refuse(sound, sound.save().read_bytes(), spoil(whole, how)) in KNOWN


@fuzz
@given(how=steps, method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
def test_arrays_inside_data(sound, arrays, how, method):
    with zipfile.ZipFile(io.BytesIO(npz(arrays, np.savez))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["input.npy"] = spoil(members["input.npy"], how)
    assert read_or_refuse(sound, sound.save().read_bytes(), zipped(members, method)) in KNOWN


@fuzz
@given(how=steps)
def test_headers_of_safetensors(sound, arrays, how):
    whole = safetensors.numpy.save(arrays)
    end = 8 + struct.unpack_from("<Q", whole)[0]
    header = spoil(whole[8:end], how)
    assert (
        read_or_refuse(sound, sound.save().read_bytes(), struct.pack("<Q", len(header)) + header + whole[end:]) in KNOWN
    )


def test_the_sound_files_are_read(sound, arrays):
    model = sound.save().read_bytes()
    assert read_or_refuse(sound, model) == ""
    for whole in (npz(arrays, np.savez), npz(arrays, np.savez_compressed), safetensors.numpy.save(arrays)):
        assert read_or_refuse(sound, model, whole) == ""


def boundaries(content: bytes) -> list[int]:
    """Where a record of a zip file begins, and a byte before and after it; the ends of its fixed part and name."""
    places = {0, 1, 8, 9, len(content) - 1}
    for mark, fixed in ((b"PK\x03\x04", 30), (b"PK\x01\x02", 46), (b"PK\x05\x06", 22)):
        start = content.find(mark)
        while start >= 0:
            places |= {start - 1, start, start + 1, start + fixed, start + fixed + 5}
            start = content.find(mark, start + 1)
    return sorted(place for place in places if 0 <= place < len(content))


def test_a_file_cut_at_any_boundary_is_refused(sound, arrays):
    model = sound.save().read_bytes()
    codes = {read_or_refuse(sound, model[:place]) for place in boundaries(model)}
    assert codes <= {"MODEL_CORRUPT", "MODEL_UNSAFE", "UNSUPPORTED_FORMAT"}
    for whole in (npz(arrays, np.savez), npz(arrays, np.savez_compressed), safetensors.numpy.save(arrays)):
        codes = {read_or_refuse(sound, model, whole[:place]) for place in boundaries(whole)}
        assert codes <= {"DATA_CORRUPT", "DATA_UNSAFE"}
