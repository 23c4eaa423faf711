import os
import subprocess
import sys

import pytest

from sterna.errors import DiskLimit
from workers.limits import RunnerLimits
from workers.usage import DiskUse, Usage, UsageWatch, disk_use, usage_of_tree

FAMILY = """
import os, sys, threading, time
if os.fork() == 0 and os.fork() == 0:
    hoard = b"x" * 60_000_000
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
print("ready", flush=True)
time.sleep(60)
"""


def test_a_tree_of_processes_is_added_up():
    with subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, start_new_session=True) as parent:
        try:
            for _ in range(3):
                assert parent.stdout.readline() == b"ready\n"
            usage = usage_of_tree(parent.pid)
        finally:
            os.killpg(parent.pid, 9)
    assert usage.tasks == 6  # three processes of two threads
    assert 60_000_000 < usage.memory_bytes < 150_000_000


def test_what_does_not_exist_uses_nothing(tmp_path):
    assert usage_of_tree(2**30) == Usage()
    assert disk_use(tmp_path / "absent", most_files=10) == DiskUse()


def test_a_folder_is_added_up_and_links_are_not_followed(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "file").write_bytes(bytes(100_000))
    (tmp_path / "link").symlink_to("/usr")
    with (tmp_path / "sparse").open("wb") as sparse:
        sparse.truncate(10**10)
    use = disk_use(tmp_path, most_files=100)
    assert use.files == 4
    assert 100_000 <= use.size_bytes < 200_000
    assert disk_use(tmp_path, most_files=2).files == 3


def test_what_was_given_is_not_counted(tmp_path, monkeypatch):
    monkeypatch.setattr("workers.usage.LOOK_EVERY_S", 600.0)
    (tmp_path / "model").write_bytes(os.urandom(200_000))
    watch = UsageWatch(os.getpid(), tmp_path, RunnerLimits(disk_bytes=100_000, files=5))
    watch.check()
    (tmp_path / "more").write_bytes(os.urandom(200_000))
    watch.check()  # too soon to look again
    watch._next_look = 0.0
    with pytest.raises(DiskLimit, match="100000 bytes"):
        watch.check()
