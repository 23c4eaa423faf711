import subprocess
import sys

import pytest

from workers.gpu_lease import GpuLease, lock_folder

HOLDER = """
import sys, time
from pathlib import Path
from workers.gpu_lease import GpuLease
lease = GpuLease.take(sys.argv[1], Path(sys.argv[2]))
print("none" if lease is None else "held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process, which tries to lease a GPU and then lives on."""
    processes = []

    def start(uuid):
        command = [sys.executable, "-c", HOLDER, uuid, str(tmp_path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_gpu_is_one_processs_and_free_again_when_that_is_killed(holder, tmp_path):
    other = holder("GPU-a")
    assert GpuLease.take("GPU-a", tmp_path) is None
    free = GpuLease.take("GPU-b", tmp_path)
    assert free is not None
    free.give_back()
    other.kill()
    other.wait()
    mine = GpuLease.take("GPU-a", tmp_path)
    assert mine is not None
    mine.give_back()


def test_what_is_given_back_can_be_leased_again_and_a_child_does_not_hold_it(tmp_path, eventually):
    lease = GpuLease.take("MIG-GPU-a/1/0", tmp_path)
    assert GpuLease.take("MIG-GPU-a/1/0", tmp_path) is None
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], close_fds=False) as child:
        lease.give_back()
        # Not at once: Linux lets the parent go on a moment before it closes what the child does not inherit.
        again = eventually(lambda: GpuLease.take("MIG-GPU-a/1/0", tmp_path))
        child.kill()
    again.give_back()


def test_a_link_in_a_folder_that_everybody_writes_is_not_followed(tmp_path):
    (tmp_path / "sterna-GPU-a.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        GpuLease.take("GPU-a", tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_there_is_a_folder_for_the_whole_host():
    assert lock_folder().is_dir()
