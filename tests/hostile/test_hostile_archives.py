"""Archives that lie, each refused with its own error before anything is extracted."""

import errno
import struct
import zipfile

import pytest

from sterna.errors import ModelCorrupt, ModelTooLarge, ModelUnsafe, ModelVersionUnsupported
from sterna.intake import Limits, inspect_model, read_model

CENTRAL = b"PK\x01\x02"
LOCAL = b"PK\x03\x04"


def central_entry(content: bytes, name: bytes) -> int:
    """Offset of the directory's entry of a member: its name begins 46 bytes later."""
    return content.rfind(name) - 46


def test_the_sound_file_is_read(sound):
    assert read_model(sound.save()).graph.tensors.keys() >= {"0.weight", "3.bias"}


def test_a_disk_that_fails_is_not_the_files_fault(sound, monkeypatch):
    def fail(_archive):
        raise OSError(errno.EIO, "the disk fails")

    monkeypatch.setattr(zipfile.ZipFile, "infolist", fail)
    with pytest.raises(OSError, match="the disk fails"):
        inspect_model(sound.save())


def test_compressed_members_are_refused(sound):
    with pytest.raises(ModelUnsafe, match="compressed by method 8"):
        read_model(sound.save(zipfile.ZIP_DEFLATED))


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/passwd", "a\\..\\evil", "C:/evil"])
def test_members_that_lie_outside_are_refused(sound, name):
    path = sound.save()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"evil")
    with pytest.raises(ModelUnsafe, match="relative paths"):
        read_model(path)


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")  # the standard library's, of our own mischief
def test_two_members_of_one_name_are_refused(sound):
    path = sound.save()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model/models/model.json", b"{}")
    with pytest.raises(ModelUnsafe, match=r"two members called 'model/models/model\.json'"):
        read_model(path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.99])
def test_truncated_files_are_refused(sound, share):
    content = sound.save().read_bytes()
    with pytest.raises((ModelCorrupt, ModelUnsafe)):
        read_model(sound.write(content[: max(4, int(len(content) * share))]))


def test_a_member_beyond_the_end_is_refused(sound):
    content = bytearray(sound.save().read_bytes())
    entry = central_entry(content, b"model/data/weights/weight_0")
    content[entry + 20 : entry + 28] = struct.pack("<2L", 2**30, 2**30)
    with pytest.raises(ModelCorrupt, match="beyond the end"):
        read_model(sound.write(bytes(content)))


def test_a_header_beyond_the_end_is_refused(sound):
    content = bytearray(sound.save().read_bytes())
    entry = central_entry(content, b"model/data/weights/weight_0")
    content[entry + 42 : entry + 46] = struct.pack("<L", 2**31)
    with pytest.raises(ModelCorrupt):
        read_model(sound.write(bytes(content)))


def test_overlapping_members_are_refused(sound):
    content = bytearray(sound.save().read_bytes())
    entry = central_entry(content, b"model/data/weights/weight_0")
    size = struct.unpack_from("<L", content, entry + 20)[0]
    content[entry + 20 : entry + 28] = struct.pack("<2L", size + 60, size + 60)
    with pytest.raises(ModelUnsafe, match="overlap"):
        read_model(sound.write(bytes(content)))


def test_directory_and_header_must_name_the_same_member(sound):
    content = bytearray(sound.save().read_bytes())
    place = content.find(b"model/data/weights/weight_0")
    content[place + len(b"model/data/weights/weight_")] = ord("9")
    with pytest.raises(ModelUnsafe, match="disagree"):
        read_model(sound.write(bytes(content)))


def test_encrypted_members_are_refused(sound):
    content = bytearray(sound.save().read_bytes())
    entry = central_entry(content, b"model/data/weights/weight_0")
    content[entry + 8] |= 1
    with pytest.raises(ModelUnsafe, match="encrypted"):
        read_model(sound.write(bytes(content)))


def test_flipped_bits_are_found(sound):
    content = bytearray(sound.save().read_bytes())
    for name in (b"model/data/weights/weight_0", b"model/models/model.json"):
        spoilt = bytearray(content)
        spoilt[content.find(name) + len(name) + 20] ^= 1
        with pytest.raises(ModelCorrupt, match="CRC"):
            read_model(sound.write(bytes(spoilt)))


def test_counts_and_lengths_are_bounded(sound):
    path = sound.save()
    for limits, words in (
        (Limits(max_members=5), "members"),
        (Limits(max_directory_bytes=100), "directory"),
        (Limits(max_json_bytes=100), "at most 100"),
        (Limits(max_model_bytes=10), "at most 10"),
    ):
        with pytest.raises(ModelTooLarge, match=words):
            inspect_model(path, limits=limits)


def test_compiled_code_is_refused(sound):
    sound.members["data/aotinductor/model/lib.so"] = b"\x7fELF"
    with pytest.raises(ModelUnsafe, match="compiled code"):
        read_model(sound.save())


@pytest.mark.parametrize(
    ("name", "content"), [("archive_version", b"1"), ("byteorder", b"big"), ("archive_format", b"zip")]
)
def test_marks_of_other_versions_are_refused(sound, name, content):
    sound.members[name] = content
    with pytest.raises(ModelVersionUnsupported, match=name):
        read_model(sound.save())


def test_several_networks_are_refused(sound):
    sound.members["models/other.json"] = sound.members["models/model.json"]
    with pytest.raises(ModelVersionUnsupported, match="2 networks"):
        read_model(sound.save())


def test_a_missing_member_is_named(sound):
    del sound.members["data/weights/weight_0"]
    with pytest.raises(ModelCorrupt, match="weight_0"):
        read_model(sound.save())
