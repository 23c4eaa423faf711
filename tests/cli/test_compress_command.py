import json

import pytest

from api_schemas import Result
from sterna.artifact import Artifact


def test_an_artifact_and_its_export_appear_where_asked(sterna, tiny, tmp_path):
    out = tmp_path / "new" / "net.sterna"
    done = sterna(
        "compress",
        tiny.model,
        "--data",
        tiny.data,
        "-s",
        0.75,
        "-o",
        out,
        "--epochs",
        2,
        "--export",
        "safetensors",
        "--json",
    )

    assert done.code == 0, done.err
    result = Result.model_validate_json(done.out)
    assert [one.name for one in result.artifacts] == ["net.sterna", "net.safetensors"]
    assert sorted(entry.name for entry in out.parent.iterdir()) == ["net.safetensors", "net.sterna"]
    with Artifact.open(out) as artifact:
        zeros = sum(layer.zeros for layer in artifact.layers)
    assert (zeros, result.sparsity) == (36, 36 / 48)
    assert "search" in done.err


def test_a_folder_gets_the_usual_names_and_people_a_table(sterna, tiny, tmp_path):
    done = sterna("compress", tiny.model, "--data", tiny.data, "-s", 0.5, "-o", tmp_path / "out", "--epochs", 2)

    assert done.code == 0, done.err
    assert (tmp_path / "out" / "model.sterna").exists()
    assert "sparsity   50.0000% of 50.0000% asked for (met)" in done.out


def test_flags_become_the_spec(sterna, tiny, tmp_path, monkeypatch):
    seen = []

    def compress(_model, data, spec, *_, **__):
        seen.append((data, spec))
        raise KeyboardInterrupt

    monkeypatch.setattr("sterna.compress.compress", compress)
    flags = (
        "--tolerance 0.01 --granularity layer --exclude head.* --exclude stem --objective regression --method ste "
        "--strategy fixed --alpha 0.4 --epochs 3 --seconds 9 --max-drop 0.1 --on-miss fail "
        "--export safetensors --seed 5"
    )
    done = sterna("compress", tiny.model, "-s", 0.5, "-o", tmp_path / "x.sterna", *flags.split())

    assert done.code == 130
    data, spec = seen[0]
    assert data is None
    assert json.loads(spec.model_dump_json()) == {
        "target_sparsity": 0.5,
        "tolerance": 0.01,
        "granularity": "layer",
        "exclude": ["head.*", "stem"],
        "objective": "regression",
        "method": "ste",
        "search": {"strategy": "fixed", "alpha": 0.4},
        "budget": {"epochs": 3.0, "seconds": 9.0},
        "acceptance": {"max_drop": 0.1, "on_miss": "fail"},
        "exports": ["safetensors"],
        "seed": 5,
    }
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["-s", "1.2"], 2, "error[INVALID_SPEC]: target_sparsity: Input should be less than 1, found 1.2"),
        (["-s", "0.5", "--alpha", "0.3"], 2, "search: alpha is given only with strategy 'fixed' or 'trials'"),
        (["-s", "0.5", "--export", "tflite"], 2, "'onnx', 'gguf', 'safetensors' or 'pt2'"),
        (["-s", "0.5", "--method", "magic"], 2, "Invalid value"),
        ([], 2, "Missing option"),
        (["-s", "0.5", "--data", "MODEL"], 7, "hint:"),
        (["-s", "0.5", "--exclude", "*"], 7, "error[NOTHING_TO_TERNARISE]"),
    ],
)
def test_what_is_refused(sterna, tiny, tmp_path, arguments, code, words):
    arguments = [str(tiny.model) if one == "MODEL" else one for one in arguments]
    done = sterna("compress", tiny.model, "-o", tmp_path / "x.sterna", *arguments)

    assert (done.code, done.out) == (code, "")
    assert words in " ".join(done.err.replace("│", " ").split())
    assert list(tmp_path.iterdir()) == []


def test_a_model_is_not_replaced_by_its_own_export(sterna, tiny, tmp_path):
    model = tmp_path / "x.pt2"
    model.write_bytes(tiny.model.read_bytes())
    done = sterna("compress", model, "-s", "0.5", "-o", tmp_path / "x.sterna", "--export", "pt2")
    assert done.code == 2
    assert "is the model itself" in done.err
    assert model.read_bytes() == tiny.model.read_bytes()


def test_acceptance_missed_ends_with_4(sterna, tiny, tmp_path):
    done = sterna(
        "compress", tiny.model, "--data", tiny.data, "-s", 0.97, "--tolerance", 0.02, "-o", tmp_path / "x.sterna",
        "--epochs", 1, "--objective", "distillation", "--max-drop", 0, "--on-miss", "fail",
    )  # fmt: skip
    assert done.code == 4, done.err
    assert "error[ACCEPTANCE_MISSED]" in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def trained(monkeypatch):
    """Stands in for the training; holds the folders in which it was asked to leave its files."""
    folders = []

    def compress(_model, _data, _spec, folder, **_):
        folders.append(folder)
        folder.joinpath("model.sterna").write_bytes(b"packed")
        return EMPTY_RESULT

    monkeypatch.setattr("sterna.compress.compress", compress)
    return folders


FIGURES = ("target_sparsity", "sparsity", "bits_per_weight", "entropy_bits_per_weight", "ratio", "seconds")
EMPTY_RESULT = Result(
    **dict.fromkeys(FIGURES, 0.5),
    **dict.fromkeys(("model_bytes", "artifact_bytes", "steps"), 1),
    alpha=0.5,
    target_met=True,
    metric=None,
    artifacts=[{"name": "model.sterna", "sha256": "0" * 64, "bytes": 6, "media_type": "x/y"}],
)


@pytest.mark.parametrize("out", ["folder", "folder/net.sterna"])
def test_files_are_made_where_they_will_stay(sterna, tiny, tmp_path, trained, out):
    """A rename between file systems fails, and the folder above may be read-only: the scratch lies in the folder."""
    done = sterna("compress", tiny.model, "-s", 0.5, "-o", tmp_path / out)

    assert done.code == 0, done.err
    assert trained[0].parent == tmp_path / "folder"
    (made,) = (tmp_path / "folder").iterdir()
    assert (made.suffix, made.read_bytes()) == (".sterna", b"packed")


def test_a_place_that_cannot_be_written_is_refused_before_training(sterna, tiny, tmp_path, trained):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "taken" / "model.sterna").mkdir(parents=True)
    for out in (
        "/proc/sterna",
        "/proc/x.sterna",
        tmp_path / "file",
        tmp_path / "file" / "x.sterna",
        tmp_path / "taken",
    ):
        done = sterna("compress", tiny.model, "-s", 0.5, "-o", out)
        assert (done.code, done.out) == (2, "")
        assert "error[INVALID_SPEC]" in done.err
        assert "nothing was trained" in done.err
    assert trained == []


def test_no_link_is_followed(sterna, tiny, tmp_path, trained):
    (tmp_path / "precious").write_bytes(b"mine")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.sterna").symlink_to(tmp_path / "precious")
    (tmp_path / "folder").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "net.sterna").symlink_to(tmp_path / "nowhere")

    assert sterna("compress", tiny.model, "-s", 0.5, "-o", tmp_path / "out").code == 0
    assert (tmp_path / "precious").read_bytes() == b"mine"
    assert not (tmp_path / "out" / "model.sterna").is_symlink()
    for out in ("folder", "net.sterna"):
        done = sterna("compress", tiny.model, "-s", 0.5, "-o", tmp_path / out)
        assert (done.code, "symbolic link" in done.err) == (2, True)
    assert len(trained) == 1
    assert list((tmp_path / "elsewhere").iterdir()) == []
