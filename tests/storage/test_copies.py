import hashlib
from pathlib import Path

import pytest

from sterna.errors import ArtifactDigestMismatch
from storage import BlobStore
from storage.copies import copy_blobs

CONTENTS = (b"", b"a model", b"data" * 300_000)


@pytest.fixture
def source(tmp_path) -> BlobStore:
    store = BlobStore.open((tmp_path / "source").as_uri())
    for n, content in enumerate(CONTENTS):
        (tmp_path / f"{n}").write_bytes(content)
        store.put_file(tmp_path / f"{n}")
    return store


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_everything_that_is_lacking_is_copied_once(source, tmp_path, kind):
    target = BlobStore.open((tmp_path / "target").as_uri() if kind == "file" else "memory://")
    target.put_file(tmp_path / "1")
    told: list[tuple[int, int]] = []
    assert copy_blobs(source, target, scratch=tmp_path, on_progress=lambda *count: told.append(count)) == 2
    assert told == [(1, 3), (2, 3), (3, 3)]
    for content in CONTENTS:
        assert b"".join(target.stream(hashlib.sha256(content).hexdigest())) == content
    assert copy_blobs(source, target, scratch=tmp_path) == 0


def test_damage_is_not_copied(source, tmp_path):
    digest = hashlib.sha256(CONTENTS[1]).hexdigest()
    [damaged] = Path(tmp_path / "source").rglob(digest)
    damaged.write_bytes(b"another")
    target = BlobStore.open("memory://")
    with pytest.raises(ArtifactDigestMismatch):
        copy_blobs(source, target, scratch=tmp_path)
    assert not target.has(digest)


def test_what_is_removed_meanwhile_is_passed_over(source, tmp_path, monkeypatch):
    listed = [*source.digests(), "ab" * 32]
    monkeypatch.setattr(source, "digests", lambda: listed)
    assert copy_blobs(source, BlobStore.open("memory://"), scratch=tmp_path) == 3
