"""A state comes out of its file as it went in; a file that is anything else is refused by name."""

import json
import struct

import pytest
import torch
from safetensors.torch import load_file

from sterna.errors import CheckpointRejected
from sterna.method import RunState
from sterna.method.checkpoint import read_checkpoint, state_bytes, write_checkpoint
from sterna.trials import Trial

TENSORS = {
    "v": torch.arange(5, dtype=torch.float32) / 7,
    "codes": torch.tensor([-1, 0, 1], dtype=torch.int8),
    "network/half": torch.tensor([[1.5, -2.25]], dtype=torch.bfloat16),
    "network/float16": torch.tensor([0.1], dtype=torch.float16),
    "network/steps": torch.tensor(3),
    "network/mask": torch.tensor([True, False]),
    "network/none": torch.zeros(0, 4),
    "network/turned": torch.arange(6, dtype=torch.float64).view(2, 3).t(),
    "random/torch": torch.arange(7, dtype=torch.uint8),
}
STATE = RunState(
    phase="search",
    step=30,
    steps_before=20,
    searched=0,
    stopped=False,
    micro_batch=16,
    drawn=4,
    trials=(Trial(0.1 + 0.2, 1 / 3),),
    trial_alpha=1e-4,
    config={"steps": 80, "alpha": None, "learning_rate": 0.1},
    tensors=TENSORS,
)


@pytest.fixture
def path(tmp_path):
    write_checkpoint(tmp_path / "checkpoint", STATE, {"seconds": 0.1, "of": "this"})
    return tmp_path / "checkpoint"


def rewrite(path, change):
    """Write the header again, with the same data."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


def test_numbers_and_tensors_come_back_to_the_bit(path):
    found = read_checkpoint(path)

    assert found.about == {"seconds": 0.1, "of": "this"}
    for name in ("phase", "step", "steps_before", "stopped", "micro_batch", "drawn", "trials", "trial_alpha", "config"):
        assert getattr(found.state, name) == getattr(STATE, name)
    assert found.state.tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert found.state.tensors[name].dtype == tensor.dtype
        assert torch.equal(found.state.tensors[name], tensor)


def test_the_file_is_one_that_the_stock_reader_reads(path):
    stock = load_file(path)
    assert all(torch.equal(stock[name], tensor) for name, tensor in TENSORS.items())
    assert state_bytes(STATE) == sum(tensor.nbytes for tensor in stock.values())


def test_the_same_state_gives_the_same_bytes_and_replaces_what_was_there(path):
    before = path.read_bytes()
    size_bytes, _ = write_checkpoint(path, STATE, {"of": "this", "seconds": 0.1})
    assert path.read_bytes() == before
    assert size_bytes == len(before)
    assert [entry.name for entry in path.parent.iterdir()] == ["checkpoint"]


def test_a_file_cut_anywhere_is_refused(path):
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointRejected) as caught:
            read_checkpoint(path)
        assert caught.value.hint


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda h: h["__metadata__"].pop("sterna.checkpoint"), "of 'nothing'"),
        (lambda h: h["__metadata__"].update({"sterna.checkpoint": "layout 1, method 0"}), "method 0"),
        (lambda h: h["__metadata__"].pop("sterna.run"), "sterna.run is not valid JSON"),
        (lambda h: h["__metadata__"].update({"sterna.about": "[]"}), "sterna.about is a list"),
        (lambda h: h["v"].update(dtype="F8"), "dtype"),
        (lambda h: h["v"].update(shape=[6]), "shape needs"),
        (lambda h: h["v"].update(data_offsets=[0, 20]), "begins at"),
    ],
)
def test_headers_that_say_something_else_are_refused(path, change, words):
    rewrite(path, change)
    with pytest.raises(CheckpointRejected, match=words):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("phase", "landing", "phase 'landing'"),
        ("phase", 1, "phase is a number"),
        ("step", -1, "step is outside"),
        ("step", 1.0, "step is a number"),
        ("step", True, "step is a truth value"),
        ("stopped", 0, "stopped is neither"),
        ("trials", [[0.1]], "no pair"),
        ("trials", [["a", 0.1]], "no finite number"),
        ("trials", [[0.1, 0.2]] * 1001, "at most 1000"),
        ("trial_alpha", "a", "no finite number"),
        ("config", [], "config is a list"),
    ],
)
def test_numbers_of_another_kind_are_refused(path, name, value, words):
    def change(header):
        run = json.loads(header["__metadata__"]["sterna.run"])
        header["__metadata__"]["sterna.run"] = json.dumps(run | {name: value})

    rewrite(path, change)
    with pytest.raises(CheckpointRejected, match=words):
        read_checkpoint(path)


def test_numbers_without_end_have_one(path):
    def change(header):
        run = json.loads(header["__metadata__"]["sterna.run"])
        header["__metadata__"]["sterna.run"] = json.dumps(run | {"trial_alpha": 10**400})

    rewrite(path, change)
    assert read_checkpoint(path).state.trial_alpha > 1e308


def test_tensors_that_lie_anywhere_are_read(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    path.write_bytes(struct.pack("<Q", length + 1) + data[8 : 8 + length] + b" " + data[8 + length :])
    found = read_checkpoint(path)
    assert all(torch.equal(found.state.tensors[name], tensor) for name, tensor in TENSORS.items())


def test_truth_values_are_true_or_false(path):
    data = bytearray(path.read_bytes())
    (length,) = struct.unpack("<Q", data[:8])
    begin, _ = json.loads(data[8 : 8 + length])["network/mask"]["data_offsets"]
    data[8 + length + begin] = 2
    path.write_bytes(data)
    with pytest.raises(CheckpointRejected, match="truth value"):
        read_checkpoint(path)


def test_a_pickle_is_refused(tmp_path):
    torch.save({"v": torch.zeros(3)}, tmp_path / "checkpoint")
    with pytest.raises(CheckpointRejected, match="damaged"):
        read_checkpoint(tmp_path / "checkpoint")
