import numpy as np
import pytest
import safetensors.numpy

from sterna.errors import DataCorrupt, DataMismatch, NonFiniteData
from sterna.intake import read_data
from sterna.intake.data import check_data
from sterna.intake.goal import Goal

IMAGE = np.random.default_rng(1).standard_normal((5, 1, 9)).astype(np.float32)
TOKENS = np.arange(15).reshape(5, 3)
SOUND = {"image": IMAGE, "tokens": TOKENS}


@pytest.fixture(params=["npz", "deflated", "safetensors"])
def write(request, tmp_path):
    def to_file(arrays):
        path = tmp_path / "data"
        with path.open("wb") as file:
            if request.param == "safetensors":
                file.write(safetensors.numpy.save({name: np.asarray(a, order="C") for name, a in arrays.items()}))
            else:
                (np.savez if request.param == "npz" else np.savez_compressed)(file, **arrays)
        return path

    return to_file


def test_arrays_are_those_that_were_written(write, graph):
    held_out = {"eval_image": IMAGE[:2], "eval_tokens": TOKENS[:2], "eval_target": np.array([1, 2])}
    data = read_data(write({**SOUND, "target": np.arange(5), **held_out}), graph)
    np.testing.assert_array_equal(data.inputs["image"], IMAGE)
    np.testing.assert_array_equal(data.inputs["tokens"], TOKENS)
    np.testing.assert_array_equal(data.target, np.arange(5))
    np.testing.assert_array_equal(data.eval_inputs["image"], IMAGE[:2])
    np.testing.assert_array_equal(data.eval_target, [1, 2])
    assert data.samples == 5


def test_targets_and_held_out_samples_may_be_missing(write, graph):
    data = read_data(write(SOUND), graph)
    assert (data.target, data.eval_inputs, data.eval_target) == (None, None, None)


def test_a_fixed_batch_does_not_fix_the_samples(write, graph):
    assert graph.inputs[1].shape[0] == 4
    assert read_data(write(SOUND), graph).samples == 5


@pytest.mark.parametrize(
    ("array", "dtype"),
    [
        (IMAGE.astype(np.float64), "float32"),
        (IMAGE.astype(np.float16), "float32"),
        (np.asfortranarray(IMAGE), "float32"),
    ],
)
def test_floats_are_converted(write, graph, array, dtype):
    image = read_data(write({**SOUND, "image": array}), graph).inputs["image"]
    assert image.dtype == dtype
    np.testing.assert_allclose(image, IMAGE, rtol=1e-2, atol=1e-3)


def test_small_integers_are_converted(write, graph):
    tokens = read_data(write({**SOUND, "tokens": TOKENS.astype(np.uint8)}), graph).inputs["tokens"]
    assert tokens.dtype == np.int64
    np.testing.assert_array_equal(tokens, TOKENS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image": None}, "missing are 'image'"),
        ({"pictures": IMAGE}, "unknown are 'pictures'"),
        ({"image": IMAGE[:4]}, "'tokens' has 5 samples, others have 4"),
        ({"image": IMAGE[:, 0]}, "'image' has the shape"),
        ({"tokens": TOKENS[:, :2]}, r"'tokens' has the shape \(5, 2\); the network takes \(samples, 3\)"),
        ({"image": IMAGE.astype(np.uint8)}, "'image' is uint8; the network takes float32"),
        ({"tokens": TOKENS.astype(np.float32)}, "'tokens' is float32; the network takes int64"),
        ({"tokens": TOKENS > 3}, "'tokens' is bool"),
        ({"target": np.arange(4)}, "'target' has 4 samples; the inputs have 5"),
        ({"target": np.array(3)}, "'target' has no samples"),
        ({"eval_image": IMAGE}, "'eval_tokens' is missing"),
        ({"eval_target": np.arange(5)}, "'eval_image' is missing"),
        ({"eval_image": IMAGE, "eval_tokens": TOKENS, "target": np.arange(5)}, "only one of target and eval_target"),
        ({"image": IMAGE[:0], "tokens": TOKENS[:0]}, "no samples"),
    ],
)
def test_misfits_are_named(write, graph, change, words):
    arrays = {name: array for name, array in {**SOUND, **change}.items() if array is not None}
    with pytest.raises(DataMismatch, match=words):
        read_data(write(arrays), graph)


@pytest.mark.parametrize(
    ("target", "dtype"),
    [
        (np.arange(5, dtype=np.uint8), "int64"),
        (np.arange(5) > 2, "int64"),
        (np.arange(5, dtype=np.float16), "float32"),
        (np.arange(5, dtype=np.float64), "float32"),
    ],
)
def test_targets_become_what_is_trained_on(write, graph, target, dtype):
    data = read_data(write({**SOUND, "target": target}), graph)
    assert data.target.dtype == dtype
    np.testing.assert_array_equal(data.target, target)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_other_byte_orders_are_read(tmp_path, graph, save):
    arrays = {"image": IMAGE.astype(">f4"), "tokens": TOKENS.astype(">i8"), "target": np.arange(5).astype(">i2")}
    save(tmp_path / "data.npz", **arrays)
    data = read_data(tmp_path / "data.npz", graph)
    for found in (data.inputs["image"], data.inputs["tokens"], data.target):
        assert found.dtype.isnative
    np.testing.assert_array_equal(data.inputs["image"], IMAGE)
    np.testing.assert_array_equal(data.inputs["tokens"], TOKENS)
    np.testing.assert_array_equal(data.target, np.arange(5))


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("target", np.arange(5, dtype=np.longdouble), "a target is bool, an integer that fits int64, float16"),
        ("target", np.arange(5, dtype=np.uint64), "a target is bool, an integer that fits int64, float16"),
        ("image", IMAGE.astype(np.longdouble), "the network takes float32"),
        ("tokens", TOKENS.astype(np.uint64), "the network takes int64"),
    ],
)
def test_types_that_no_training_has_are_refused(tmp_path, graph, name, array, words):
    np.savez(tmp_path / "data.npz", **{**SOUND, name: array})
    with pytest.raises(DataMismatch, match=f"array '{name}' is {array.dtype}; {words}"):
        read_data(tmp_path / "data.npz", graph)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["image", "target", "eval_image"])
def test_numbers_are_finite(write, graph, name, value):
    spoilt = IMAGE.copy()
    spoilt[3, 0, 4] = value
    arrays = {**SOUND, "target": IMAGE, "eval_image": IMAGE, "eval_tokens": TOKENS, "eval_target": IMAGE}
    with pytest.raises(NonFiniteData, match=name):
        read_data(write({**arrays, name: spoilt}), graph)


def test_numbers_stay_finite_when_converted(write, graph):
    with pytest.raises(NonFiniteData, match="image"):
        read_data(write({**SOUND, "image": np.full((5, 1, 9), 1e300)}), graph)
    with pytest.raises(NonFiniteData, match="target"):
        read_data(write({**SOUND, "target": np.full(5, 1e300)}), graph)


def test_data_is_checked_as_it_would_be_read(write, graph):
    check_data(write({**SOUND, "target": np.arange(5)}), graph)
    with pytest.raises(NonFiniteData, match="image"):
        check_data(write({**SOUND, "image": np.full((5, 1, 9), 1e300)}), graph)
    with pytest.raises(DataMismatch, match="'target' holds the class index -1"):
        check_data(write({**SOUND, "target": np.arange(5) - 1}), graph, goal=Goal("classification", (None, 5)))


@pytest.mark.parametrize("order", ["C", "F"])
def test_many_pieces_make_the_whole(tmp_path, graph, order):
    image = np.asarray(np.random.default_rng(2).standard_normal((3, 1, 700_001)), np.float32, order=order)
    np.savez_compressed(tmp_path / "data.npz", image=image, tokens=TOKENS[:3])
    np.testing.assert_array_equal(read_data(tmp_path / "data.npz", graph).inputs["image"], image)


def test_an_empty_file_is_called_so(tmp_path, graph):
    (tmp_path / "data.npz").touch()
    with pytest.raises(DataCorrupt, match="an empty file"):
        read_data(tmp_path / "data.npz", graph)


@pytest.mark.parametrize("labels", [np.array(list("abcde")), np.array(list(b"abcde"), "S1"), np.zeros(5, complex)])
def test_labels_in_words_are_to_be_numbered(tmp_path, graph, labels):
    np.savez(tmp_path / "data.npz", **{**SOUND, "target": labels})
    with pytest.raises(DataMismatch, match=r"'target.*numbers and truth values") as caught:
        read_data(tmp_path / "data.npz", graph)
    assert "return_inverse" in caught.value.hint


@pytest.mark.parametrize(
    "arrays",
    [
        {**SOUND, "image": IMAGE[:, 0]},
        {**SOUND, "image": IMAGE[:3]},
        {**SOUND, "target": np.arange(3)},
    ],
)
def test_arrays_of_the_wrong_shape_or_length_are_told_what_to_do(write, graph, arrays):
    with pytest.raises(DataMismatch) as caught:
        read_data(write(arrays), graph)
    assert "samples" in caught.value.hint
