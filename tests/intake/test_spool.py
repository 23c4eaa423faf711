import numpy as np
import pytest

from sterna.intake import read_data, spool
from sterna.intake.spool import converted, room_for

FLOAT = np.dtype("<f4")


@pytest.fixture
def all_is_large(monkeypatch, tmp_path):
    monkeypatch.setattr(spool, "SMALL_BYTES", 0)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)


def test_small_things_are_made_in_memory():
    assert type(room_for((3, 2), FLOAT)) is np.ndarray


@pytest.mark.usefixtures("all_is_large")
def test_large_things_lie_in_a_file_without_a_name(tmp_path):
    room = room_for((3, 2), FLOAT)
    assert isinstance(room, np.memmap)
    room[:] = 1.5
    assert room.tolist() == [[1.5, 1.5]] * 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("all_is_large")
def test_a_disk_without_room_says_so_at_once():
    with pytest.raises(OSError, match=r"No space left|File too large"):
        room_for((2**50,), FLOAT)


@pytest.mark.usefixtures("all_is_large")
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["<f8", ">f4", "<i2"])
def test_conversion_is_numpys(order, kind):
    array = np.asarray(np.random.default_rng(0).integers(-99, 99, (50, 7, 3)), dtype=kind, order=order)
    found = converted(array, FLOAT)
    assert (found.dtype, found.flags.c_contiguous) == (FLOAT, True)
    np.testing.assert_array_equal(found, array.astype("<f4"))


@pytest.mark.usefixtures("all_is_large")
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8"])
def test_large_data_is_mapped_whatever_it_was(tmp_path, graph, save, kind):
    image = np.asfortranarray(np.random.default_rng(1).standard_normal((5, 1, 9)).astype(kind))
    tokens = np.arange(15).reshape(5, 3)
    save(tmp_path / "data.npz", image=image, tokens=tokens)
    data = read_data(tmp_path / "data.npz", graph)
    np.testing.assert_array_equal(data.inputs["image"], image.astype("<f4"))
    np.testing.assert_array_equal(data.inputs["tokens"], tokens)
    assert not any(array.flags.owndata for array in data.inputs.values())
    assert all(array.flags.c_contiguous for array in data.inputs.values())
