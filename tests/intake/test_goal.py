import numpy as np
import pytest

from sterna.errors import DataMismatch, InvalidSpec
from sterna.intake import inspect_model, preflight, read_checked
from sterna.intake.goal import Goal

LOGITS = (None, 3)
WHOLE, FLOATING = np.dtype("<i8"), np.dtype("<f4")


@pytest.mark.parametrize(
    ("objective", "output", "dtype", "shape"),
    [
        ("auto", LOGITS, WHOLE, (9,)),
        ("classification", LOGITS, WHOLE, (9,)),
        ("classification", None, WHOLE, (9,)),
        ("auto", LOGITS, FLOATING, (9, 3)),
        ("regression", (None, 2, None), FLOATING, (9, 2, 7)),
        ("regression", None, FLOATING, (9, 2, 7)),
        ("distillation", LOGITS, FLOATING, (9, 2, 7)),
    ],
)
def test_what_fits(objective, output, dtype, shape):
    Goal(objective, output).check_target("target", dtype, shape)


@pytest.mark.parametrize(
    ("objective", "output", "dtype", "shape", "remedy"),
    [
        ("auto", LOGITS, WHOLE, (9, 3), "argmax"),
        ("classification", LOGITS, WHOLE, (9, 3), "argmax"),
        ("classification", LOGITS, FLOATING, (9,), "class indices"),
        ("classification", (None, 4, 8), WHOLE, (9,), "'regression' or 'distillation'"),
        ("regression", LOGITS, WHOLE, (9,), "astype"),
        ("regression", LOGITS, FLOATING, (9,), "Reshape"),
        ("auto", LOGITS, FLOATING, (9, 2), "Reshape"),
    ],
)
def test_what_does_not_fit_says_what_to_do(objective, output, dtype, shape, remedy):
    with pytest.raises(DataMismatch, match="array 'target'") as caught:
        Goal(objective, output).check_target("target", dtype, shape)
    assert remedy in caught.value.hint


@pytest.mark.parametrize(
    ("objective", "output", "allowed"),
    [
        ("auto", LOGITS, range(3)),
        ("auto", (None, None), range(2**63)),
        ("auto", None, range(2**63)),
        ("distillation", LOGITS, range(-(2**63), 2**63)),
    ],
)
def test_class_indices(objective, output, allowed):
    assert Goal(objective, output).classes == allowed


def tiny_data(folder, samples=40, **arrays):
    """Data of the tiny network: 4 inputs, 2 classes."""
    held = {"input": np.zeros((samples, 4), np.float32), "target": np.zeros(samples, np.int64)} | arrays
    np.savez(folder / "data.npz", **{name: array for name, array in held.items() if array is not None})
    return folder / "data.npz"


@pytest.mark.parametrize("read", [preflight, read_checked])
@pytest.mark.parametrize(
    ("objective", "arrays", "error", "words"),
    [
        ("auto", {"target": np.eye(2, dtype=np.int64)[np.zeros(40, int)]}, DataMismatch, "classification needs"),
        ("regression", {}, DataMismatch, "regression needs"),
        ("classification", {"target": np.zeros((40, 2), np.float32)}, DataMismatch, "classification needs"),
        ("classification", {"target": None}, InvalidSpec, "needs a target"),
        ("auto", {"samples": 2}, DataMismatch, "of 2 samples 1 would be left"),
        ("auto", {"samples": 1}, DataMismatch, "of 1 samples 0 would be left"),
    ],
)
def test_a_job_that_cannot_be_trained_is_refused_before_torch_is_needed(
    tiny, tmp_path, read, objective, arrays, error, words
):
    with pytest.raises(error, match=words) as caught:
        read(tiny.model, tiny_data(tmp_path, **arrays), objective=objective)
    assert caught.value.hint


@pytest.mark.parametrize("read", [preflight, read_checked])
def test_an_objective_with_a_target_needs_data(tiny, read):
    with pytest.raises(InvalidSpec, match="needs a target"):
        read(tiny.model, None, objective="regression")


def test_what_can_be_trained_is_let_through(tiny, tmp_path):
    assert preflight(tiny.model, tiny_data(tmp_path, samples=3)) == inspect_model(tiny.model)
    values = np.zeros((40, 2), np.float32)
    assert preflight(tiny.model, tiny_data(tmp_path, target=values), objective="regression").parameters
