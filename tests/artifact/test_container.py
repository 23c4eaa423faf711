"""The container against the safetensors package, and against headers written by hand."""

import hashlib
import json

import numpy as np
import pytest
from safetensors import SafetensorError, deserialize

from sterna.artifact.container import OutgoingTensor, arrange, read_header, write_container
from sterna.artifact.element_types import ELEMENT_TYPES
from sterna.errors import ArtifactCorrupt, ModelTooLarge


def outgoing(name, kind, array):
    return OutgoingTensor(name, ELEMENT_TYPES[kind], array.shape, lambda: array)


def small_tensors():
    return arrange(
        [
            outgoing("b", "U8", np.arange(3, dtype=np.uint8)),
            outgoing("a", "U8", np.zeros((0, 2), np.uint8)),
            outgoing("z", "F64", np.array(1.5)),
            outgoing("h", "BF16", np.array([[0x3F80]], np.uint16)),
        ]
    )


def test_the_bytes_are_pinned(tmp_path):
    size_bytes, sha256 = write_container(tmp_path / "x", small_tensors(), {"k": "é"})
    header = (
        b'{"__metadata__":{"k":"\\u00e9"},"z":{"data_offsets":[0,8],"dtype":"F64","shape":[]},'
        b'"h":{"data_offsets":[8,10],"dtype":"BF16","shape":[1,1]},'
        b'"a":{"data_offsets":[10,10],"dtype":"U8","shape":[0,2]},'
        b'"b":{"data_offsets":[10,13],"dtype":"U8","shape":[3]}}'
    )
    header += b" " * (-len(header) % 8)
    data = bytes.fromhex("000000000000f83f 803f 000102")
    expected = len(header).to_bytes(8, "little") + header + data
    assert (tmp_path / "x").read_bytes() == expected
    assert (size_bytes, sha256) == (len(expected), hashlib.sha256(expected).hexdigest())


def test_the_safetensors_package_sees_the_same(tmp_path):
    write_container(tmp_path / "x", small_tensors(), {"k": "v"})
    file = (tmp_path / "x").read_bytes()
    theirs = {name: (entry["dtype"], entry["shape"], bytes(entry["data"])) for name, entry in deserialize(file)}
    ours = read_header(memoryview(file))
    data = file[ours.data_start :]
    assert ours.metadata == {"k": "v"}
    assert theirs == {
        name: (tensor.element_type.name, list(tensor.shape), data[tensor.begin : tensor.end])
        for name, tensor in ours.tensors.items()
    }


def test_a_file_that_cannot_be_finished_leaves_nothing(tmp_path):
    def fail():
        raise OSError("gone")

    (tmp_path / "x").write_bytes(b"before")
    broken = OutgoingTensor("a", ELEMENT_TYPES["U8"], (1,), fail)
    with pytest.raises(OSError, match="gone"):
        write_container(tmp_path / "x", [broken], {})
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"before"


def test_a_header_above_the_limit_is_not_written(tmp_path):
    with pytest.raises(ModelTooLarge, match="the header would have"):
        write_container(tmp_path / "x", small_tensors(), {"k": "x" * 2**24})


def entry(dtype="U8", shape=(2,), offsets=(0, 2)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


REFUSED = {
    "hole": ({"a": entry(), "b": entry(offsets=(3, 5))}, "'b' begins at 3, the one before it ends at 2"),
    "overlap": ({"a": entry(), "b": entry(offsets=(1, 3))}, "'b' begins at 1, the one before it ends at 2"),
    "twice the same place": ({"a": entry(), "b": entry()}, "begins at 0, the one before it ends at 2"),
    "hole at the start": ({"a": entry(offsets=(1, 3))}, "begins at 1, the one before it ends at 0"),
    "bytes left over": ({"a": entry(shape=(1,), offsets=(0, 1))}, "take 1 bytes, the file holds 2"),
    "beyond the end": ({"a": entry(shape=(9,), offsets=(0, 9))}, "take 9 bytes, the file holds 2"),
    "no tensor": ({}, "take 0 bytes, the file holds 2"),
    "backwards": ({"a": entry(offsets=(2, 0))}, "its shape needs 2 bytes, its offsets give -2"),
    "shape too large": ({"a": entry(shape=(3,))}, "its shape needs 3 bytes, its offsets give 2"),
    "shape too small": ({"a": entry(shape=(1,))}, "its shape needs 1 bytes, its offsets give 2"),
    "overflowing shape": ({"a": entry(shape=[2**48] * 16)}, r"its shape needs \d+ bytes"),
    "size above the limit": ({"a": entry(shape=[2**49])}, "a size is outside"),
    "negative size": ({"a": entry(shape=[-2])}, "a size is outside"),
    "true as a size": ({"a": entry(shape=[True])}, "a truth value, an integer"),
    "float offsets": ({"a": entry(offsets=(0, 2.0))}, "a number, an integer"),
    "one offset": ({"a": entry(offsets=(0,))}, "1 elements, 2 are allowed"),
    "three offsets": ({"a": entry(offsets=(0, 1, 2))}, "3 elements, at most 2"),
    "too many dimensions": ({"a": entry(shape=[1] * 16 + [2])}, "17 elements, at most 16"),
    "unknown dtype": ({"a": entry(dtype="I2")}, "dtype 'I2' is not one of"),
    "missing member": ({"a": {"dtype": "U8", "shape": [2]}}, "'data_offsets'"),
    "unknown member": ({"a": {**entry(), "codec": 1}}, "'codec'"),
    "no name": ({"": entry()}, "0 characters"),
    "long name": ({"n" * 1025: entry()}, "1025 characters"),
    "tensor is a list": ({"a": [1]}, "a list, an object is allowed"),
    "metadata is a list": ({"__metadata__": [], "a": entry()}, "__metadata__ is a list"),
    "metadata is not text": ({"__metadata__": {"k": 1}, "a": entry()}, "'k' is a number, a string"),
    "not an object": ([1], "does not begin with"),
    "name twice": (b'{"a":' + json.dumps(entry()).encode() + b',"a":1}', "twice"),
    "leading space": (b' {"a":' + json.dumps(entry()).encode() + b"}", "does not begin with"),
    "more after the object": (b"{}x", "not valid JSON"),
    "empty": (b"", "does not begin with"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_header_may_not_say(case, forge):
    header, message = REFUSED[case]
    with pytest.raises(ArtifactCorrupt, match=message) as caught:
        read_header(memoryview(forge.join(header, b"ab")))
    assert caught.value.hint


def test_the_safetensors_package_refuses_the_same_layouts(forge):
    """The oracle agrees on what a lie is, where its rules are ours."""
    for case in (
        "hole",
        "overlap",
        "bytes left over",
        "beyond the end",
        "backwards",
        "shape too large",
        "unknown dtype",
    ):
        with pytest.raises(SafetensorError):
            deserialize(forge.join(REFUSED[case][0], b"ab"))


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (b"", "0 bytes, at least 8"),
        (b"1234567", "7 bytes, at least 8"),
        ((2**24 + 1).to_bytes(8, "little") + b"{}", "claims 16777217 bytes, at most 16777216"),
        (b"\xff" * 8 + b"{}", "claims 18446744073709551615 bytes"),
        ((3).to_bytes(8, "little") + b"{}", "claims 3 bytes, the file ends after 10"),
    ],
)
def test_a_length_that_lies_is_refused(file, message):
    with pytest.raises(ArtifactCorrupt, match=message):
        read_header(memoryview(file))


def test_too_many_tensors_are_refused(forge):
    header = {f"t{index}": entry(shape=(0,), offsets=(0, 0)) for index in range(2**17 + 1)}
    with pytest.raises(ArtifactCorrupt, match="131073 tensors are stored"):
        read_header(memoryview(forge.join(header, b"")))
