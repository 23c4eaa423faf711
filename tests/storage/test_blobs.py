import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from sterna.errors import ArtifactDigestMismatch, Conflict, NotFound
from storage import BlobStore
from storage import blobs as blobs_module

CONTENT = bytes(range(256)) * 10_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(params=["file", "memory", "s3"])
def store(request, tmp_path) -> BlobStore:
    if request.param == "s3":
        return BlobStore.open(request.getfixturevalue("s3_url"))
    return BlobStore.open(f"file://{tmp_path}/a folder/blobs" if request.param == "file" else "memory://")


@pytest.fixture
def source(tmp_path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    return path


def test_what_is_put_comes_back(store, source, tmp_path):
    assert not store.has(SHA256)
    assert store.put_file(source) == (SHA256, len(CONTENT))
    assert store.has(SHA256)
    assert store.size(SHA256) == len(CONTENT)
    store.fetch(SHA256, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == CONTENT
    with store.as_file(SHA256, tmp_path) as path:
        assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("start", "end"), [(0, 1), (255, 700_000), (len(CONTENT) - 1, len(CONTENT)), (5, 5), (9, None)]
)
def test_ranges(store, source, start, end):
    store.put_file(source)
    assert b"".join(store.stream(SHA256, start, end)) == CONTENT[start:end]


def test_known_content_is_not_written_again(store, source, monkeypatch):
    store.put_file(source)

    def must_not_write(*_, **__):
        raise AssertionError("written again")

    monkeypatch.setattr(blobs_module.obstore, "put", must_not_write)
    assert store.put_file(source) == (SHA256, len(CONTENT))


@pytest.mark.parametrize("sha256", ["0" * 64, "", "../../etc/passwd", "0" * 63, SHA256.upper(), SHA256 + "\n"])
def test_unknown_blobs(store, sha256, tmp_path):
    for call in (store.size, lambda s: list(store.stream(s)), lambda s: store.fetch(s, tmp_path / "x")):
        with pytest.raises(NotFound):
            call(sha256)


def test_a_damaged_blob_is_noticed(tmp_path, source):
    store = BlobStore.open(f"file://{tmp_path}/blobs")
    store.put_file(source)
    stored = tmp_path / "blobs" / "blobs" / SHA256[:2] / SHA256
    stored.write_bytes(b"x" + CONTENT[1:])
    with pytest.raises(ArtifactDigestMismatch):
        store.fetch(SHA256, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def put_part(store: BlobStore, scratch: Path, n: int, part: bytes) -> None:
    with store.part_writer("upl_x", n, begin=n * 1_000_000, scratch=scratch) as writer:
        for piece in (part[:7], memoryview(part)[7:]):
            writer.write(piece)
        writer.finish()


def test_parts_become_a_blob(store, tmp_path):
    for n, part in (
        (2, CONTENT[2_000_000:]),
        (1, CONTENT[1_000_000:2_000_000]),
        (0, b"wrong"),
        (0, CONTENT[:1_000_000]),
    ):
        put_part(store, tmp_path, n, part)
    assert store.compose("upl_x", range(3), sha256=SHA256) == SHA256
    assert b"".join(store.stream(SHA256)) == CONTENT
    store.drop_parts("upl_x", range(3))
    store.drop_parts("upl_x", range(3))
    with pytest.raises(NotFound, match="of upload upl_x"):
        store.compose("upl_x", range(3), sha256="0" * 64)


def test_who_still_sends_a_part_of_a_complete_upload_does_not_reach_the_blob(tmp_path):
    store = BlobStore.open(f"file://{tmp_path}/blobs")
    with store.part_writer("upl_x", 0, begin=0, scratch=tmp_path) as late:
        late.write(CONTENT[:10])
        put_part(store, tmp_path, 0, CONTENT)
        assert store.compose("upl_x", [0], sha256=SHA256) == SHA256
        for _ in range(2):
            with pytest.raises(Conflict, match="completed meanwhile"):
                late.write(b"not the content")
            store.drop_parts("upl_x", [0])
    store.fetch(SHA256, tmp_path / "copy")


def test_a_part_that_was_not_finished_replaces_nothing_in_a_store_elsewhere(tmp_path):
    store = BlobStore.open("memory://")
    put_part(store, tmp_path, 0, CONTENT)
    with store.part_writer("upl_x", 0, begin=0, scratch=tmp_path) as broken:
        broken.write(b"half")
    assert store.compose("upl_x", [0], sha256=SHA256) == SHA256


def test_parts_that_are_not_what_was_promised_leave_no_blob(store, tmp_path):
    put_part(store, tmp_path, 0, CONTENT)
    assert store.compose("upl_x", [0], sha256="0" * 64) == SHA256
    assert not store.has("0" * 64)
    assert not store.has(SHA256)


PEAK = """
import resource, sys
from pathlib import Path
from storage import BlobStore

folder = Path(sys.argv[1])
store = BlobStore.open(f"file://{folder}/blobs")
path = folder / "large"
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for act in ("put", "part", "compose", "fetch"):
    with path.open("wb") as file:
        file.truncate(200 * 2**20)
    if act == "put":
        sha256, _ = store.put_file(path)
    elif act == "part":
        with store.part_writer("upl_x", 0, begin=0, scratch=folder) as part, path.open("rb") as file:
            while block := file.read(2**20):
                part.write(block)
            part.finish()
    elif act == "compose":
        store.compose("upl_x", [0], sha256=sha256)
    else:
        store.fetch(sha256, path)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_large_files_pass_through_little_memory(tmp_path):
    done = subprocess.run([sys.executable, "-c", PEAK, str(tmp_path)], capture_output=True, text=True, check=True)
    grown_mib = int(done.stdout)
    assert grown_mib < 120


def test_ping(tmp_path):
    store = BlobStore.open(f"file://{tmp_path}/blobs")
    store.ping()
    (tmp_path / "blobs").rmdir()
    with pytest.raises(FileNotFoundError):
        store.ping()
    BlobStore.open("memory://").ping()


def test_what_is_stored_can_be_listed_and_what_was_left_unwritten_is_not(store, source, tmp_path):
    assert list(store.digests()) == []
    other = tmp_path / "other"
    other.write_bytes(b"other")
    digests = {store.put_file(path)[0] for path in (source, other)}
    for rubbish in (tmp_path / "a folder" / "blobs" / "blobs" / "ab").glob("*"):
        rubbish.with_name("half-written").touch()
    assert set(store.digests()) == digests
