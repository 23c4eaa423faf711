"""A report that is given later leaves the file as if it had been there from the start."""

from dataclasses import replace

import pytest

from sterna.artifact import Artifact, read_unpacked, replace_report, unpack_artifact, write_artifact
from sterna.errors import ArtifactCorrupt


def test_the_file_is_the_one_that_would_have_been_written(tmp_path, mixed_contents):
    told = {**mixed_contents.report, "metric": {"name": "accuracy", "baseline": 0.5, "ternary": 0.25}}
    write_artifact(tmp_path / "a", mixed_contents, chunk_weights=50)
    write_artifact(tmp_path / "b", replace(mixed_contents, report=told), chunk_weights=50)
    replace_report(tmp_path / "a", told)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with Artifact.open(tmp_path / "a") as artifact:
        artifact.verify()


def test_what_is_no_report_leaves_the_file_as_it_was(tmp_path, page_contents):
    write_artifact(tmp_path / "a", page_contents)
    before = (tmp_path / "a").read_bytes()
    with pytest.raises(ValueError, match="Out of range float"):
        replace_report(tmp_path / "a", {"x": float("nan")})
    assert (tmp_path / "a").read_bytes() == before


def test_an_unpacked_file_is_read_again(tmp_path, mixed_contents):
    write_artifact(tmp_path / "a", mixed_contents)
    unpack_artifact(tmp_path / "a", tmp_path / "b")
    found = read_unpacked(tmp_path / "b")
    assert found.keys() == mixed_contents.graph.tensors.keys()
    for name, array in mixed_contents.dense.items():
        assert (found[name].dtype, found[name].shape, found[name].tobytes()) == (
            array.dtype,
            array.shape,
            array.tobytes(),
        )
    (tmp_path / "c").write_bytes((tmp_path / "b").read_bytes()[:-1])
    with pytest.raises(ArtifactCorrupt):
        read_unpacked(tmp_path / "c")
