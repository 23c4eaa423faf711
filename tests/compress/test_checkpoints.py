"""A compression that was cut off goes on from its checkpoint and gives the same file to the byte."""

import itertools
import json
import struct
import sys

import numpy as np
import pytest

from api_schemas import CompressSpec
from sterna.compress import ARTIFACT_NAME, Checkpointing, compress
from sterna.compress.checkpoints import Course, Keeper
from sterna.digest import file_digest
from sterna.method.checkpoint import read_checkpoint


class Killed(BaseException):
    pass


class Desk:
    """Compressions of one example in one folder."""

    def __init__(self, example, folder):
        self.example, self.folder = example, folder
        self.events = []

    @property
    def checkpoint(self):
        return self.folder / "checkpoint"

    def compress(self, checkpointing=None, *, data=True, **spec):
        self.events = []
        found = compress(
            self.example.model,
            self.example.data if data else None,
            CompressSpec(**({"target_sparsity": 0.7, "budget": {"epochs": 3}} | spec)),
            self.folder / "out",
            on_event=self.events.append,
            checkpointing=checkpointing,
        )
        return found, file_digest(self.folder / "out" / ARTIFACT_NAME)

    def kill_at(self, step, **spec):
        """Cut a compression off before a step, with a checkpoint that stands there."""
        steps = iter(range(10**6))

        def die(written):
            assert (written.size_bytes, written.sha256) == (
                self.checkpoint.stat().st_size,
                file_digest(self.checkpoint),
            )
            assert written.step == step
            raise Killed

        wishes = Checkpointing(self.checkpoint, every_s=1e9, wanted=lambda: next(steps) == step, on_written=die)
        with pytest.raises(Killed):
            self.compress(wishes, **spec)

    def go_on(self, **spec):
        wishes = Checkpointing(self.folder / "next", every_s=1000.0, resume=self.checkpoint)
        return self.compress(wishes, **spec)

    def told(self, code):
        return [event.text for event in self.events if event.kind == "message" and event.code == code]

    def steps(self):
        return [event.step for event in self.events if event.kind == "progress"]


@pytest.fixture
def desk(mlp, tmp_path):
    return Desk(mlp, tmp_path)


@pytest.mark.parametrize(
    ("steps", "spec"),
    [
        ((23, 60), {}),
        ((60,), {"method": "ste", "granularity": "layer"}),
        ((20,), {"search": {"strategy": "fixed", "alpha": 0.4}}),
        ((5, 30), {"search": {"strategy": "trials"}}),
        ((12,), {"data": False, "budget": {"epochs": 1}}),
        ((30,), {"objective": "distillation"}),
    ],
    ids=["default", "ste by layer", "fixed", "trials", "no data", "distillation"],
)
def test_the_artifact_is_that_of_an_undisturbed_run(desk, steps, spec):
    _, undisturbed = desk.compress(**spec)
    for step in steps:
        desk.kill_at(step, **spec)
        result, digest = desk.go_on(**spec)

        assert digest == undisturbed
        assert desk.told("RESUMED") == [f"going on at step {step}, from the last checkpoint"]
        assert min(desk.steps()) == step
        assert result.steps > step


def test_an_undisturbed_run_is_the_same_with_checkpoints_and_without(desk):
    _, without = desk.compress()
    _, with_them = desk.compress(Checkpointing(desk.checkpoint, every_s=0.0))
    assert with_them == without


def test_none_is_written_before_its_time_unless_somebody_wants_one(desk):
    written, asked = [], []

    def wanted():
        asked.append(1)
        return len(asked) in {10, 20}

    desk.compress(Checkpointing(desk.checkpoint, every_s=1000.0, wanted=wanted, on_written=written.append))
    assert [one.step for one in written] == [9, 19]


@pytest.mark.parametrize(("writing_s", "between_s"), [(0, 6), (1, 10), (3, 30)])
def test_there_is_time_to_store_one_within_the_interval_and_writing_takes_a_tenth_at_most(
    desk, monkeypatch, writing_s, between_s
):
    desk.kill_at(5)
    found = read_checkpoint(desk.checkpoint)
    now, taken = [100.0], []
    monkeypatch.setattr("sterna.compress.checkpoints.time.monotonic", lambda: now[0])

    def state():
        taken.append(now[0])
        return found.state

    def write(_):
        now[0] += writing_s

    wishes = Checkpointing(desk.folder / "next", every_s=8.0, on_written=write)
    keeper = Keeper(wishes, lambda: Course.from_json(found.about), desk.events.append, None)
    while len(taken) < 4:
        keeper(state)
        now[0] += 0.25
    assert taken[0] == 106.0
    assert [after - before for before, after in itertools.pairwise(taken)] == [between_s] * 3


def test_a_budget_in_seconds_is_not_timed_again_and_counts_what_was_used(desk, monkeypatch):
    spec = {"budget": {"seconds": 2.0}}
    desk.kill_at(30, **spec)
    course = read_checkpoint(desk.checkpoint).about
    monkeypatch.setattr("sterna.compress.plan._seconds_per_step", lambda *_: pytest.fail("timed again"))
    result, _ = desk.go_on(**spec)

    assert result.steps <= course["steps"]
    assert desk.steps()[0] == 30
    assert result.seconds > course["elapsed_s"] > course["searched_s"] > 0


def test_synthesised_inputs_are_moved_as_far_as_at_first_whatever_the_clock_says(desk, monkeypatch):
    spec = {"data": False, "budget": {"epochs": 1}}
    monkeypatch.setattr(sys.modules["sterna.compress.compress"], "MOST_SYNTHESIS_S", 0.05)
    desk.kill_at(12, **spec)
    few = read_checkpoint(desk.checkpoint).about["synthesis_steps"]
    monkeypatch.setattr(sys.modules["sterna.compress.compress"], "MOST_SYNTHESIS_S", 300.0)
    _, first = desk.go_on(**spec)
    monkeypatch.setattr(sys.modules["sterna.compress.compress"], "MOST_SYNTHESIS_S", 0.0)
    _, second = desk.go_on(**spec)
    _, of_noise = desk.compress(**spec)

    assert first == second
    assert first != of_noise or few == 0


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    data = bytearray(path.read_bytes())
    (length,) = struct.unpack("<Q", data[:8])
    begin, _ = json.loads(data[8 : 8 + length])["log_scale"]["data_offsets"]
    data[8 + length + begin : 8 + length + begin + 4] = np.float32(np.nan).tobytes()
    path.write_bytes(data)


def empty(path):
    path.write_bytes(b"")


def of_another_method(path):
    path.write_bytes(path.read_bytes().replace(b"method 1", b"method 2", 1))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (truncate, "damaged"),
        (flip, "NaN"),
        (empty, "empty"),
        (of_another_method, "method 2"),
        (lambda path: path.unlink(), "cannot be read"),
    ],
)
def test_a_checkpoint_that_cannot_be_used_is_told_and_the_work_begins_anew(desk, spoil, words):
    result, undisturbed = desk.compress()
    desk.kill_at(20)
    spoil(desk.checkpoint)
    again, digest = desk.go_on()

    assert digest == undisturbed
    assert again.warnings == result.warnings
    (text,) = desk.told("CHECKPOINT_REJECTED")
    assert words in text
    assert desk.told("RESUMED") == []


@pytest.mark.parametrize("spec", [{"seed": 1}, {"target_sparsity": 0.6}, {"data": False}])
def test_a_checkpoint_of_other_inputs_is_told_and_the_work_begins_anew(desk, spec):
    _, undisturbed = desk.compress(**({"budget": {"epochs": 1}} | spec))
    desk.kill_at(5, budget={"epochs": 1})
    _, digest = desk.go_on(**({"budget": {"epochs": 1}} | spec))

    assert digest == undisturbed
    assert "another model, other data or another spec" in desk.told("CHECKPOINT_REJECTED")[0]


@pytest.mark.parametrize(
    ("wishes", "words"), [({"most_bytes": 1000}, "at most 1000 are allowed"), ({}, "could not be written")]
)
def test_what_cannot_be_kept_is_told_once_and_the_work_goes_on(desk, wishes, words):
    folder = desk.folder / "not there"
    _, digest = desk.compress(Checkpointing(folder / "checkpoint", every_s=0.0, **wishes))
    _, undisturbed = desk.compress()

    assert digest == undisturbed
    desk.compress(Checkpointing(folder / "checkpoint", every_s=0.0, **wishes))
    (text,) = desk.told("NO_CHECKPOINT")
    assert words in text


def test_an_interval_that_cannot_be_held_is_told_once(desk):
    desk.compress(Checkpointing(desk.checkpoint, every_s=1e-6))
    (text,) = desk.told("CHECKPOINTS_LATE")
    assert "not every 1e-06" in text
    desk.compress(Checkpointing(desk.checkpoint, every_s=1e9))
    assert desk.told("CHECKPOINTS_LATE") == []
