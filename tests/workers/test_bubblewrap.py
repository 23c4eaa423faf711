import dataclasses
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from workers.bubblewrap import JOB, Bubblewrap, _gpus, _shown


def options(command, name):
    """The places that an option of the command line names."""
    return [command[index + 2] for index, word in enumerate(command) if word == name]


@pytest.fixture
def command(tmp_path):
    return Bubblewrap("bwrap", tmp_path).command(("python", "-m", "workers.runner", "/job"), tmp_path / "work" / "j-1")


def test_only_two_folders_of_the_job_can_be_written(command, tmp_path):
    assert set(options(command, "--bind")) == {"/job/out", "/job/tmp", "/tmp", "/dev/shm"}  # noqa: S108  in its walls
    assert (str(tmp_path / "work" / "j-1"), "/job") in pairwise(command)
    assert command[-4:] == ("python", "-m", "workers.runner", "/job")
    assert str(JOB) == "/job"


def test_what_is_shown_may_itself_lie_in_tmp(command):
    """Later options lie over earlier ones: an empty /tmp that came second would hide an interpreter in it."""
    assert command.index("/tmp") < command.index("--ro-bind")  # noqa: S108


def test_everything_that_bubblewrap_makes_becomes_read_only(command):
    closed = [command[index + 1] for index, word in enumerate(command) if word == "--remount-ro"]
    assert closed == ["/proc", "/dev", "/"]


def test_nothing_above_the_packages_is_shown(command):
    root = Path(__file__).parents[2]
    shown = options(command, "--ro-bind")
    assert {str(root / name) for name in ("api_schemas", "sterna", "workers")} <= set(shown)
    assert not {str(root), "/", "/etc", "/home", "/root", "/var", "/run"} & set(shown)
    assert not any(str(root / name) in shown for name in ("service", "storage", "tests"))


def test_the_installation_is_hidden_where_it_lies_in_what_is_shown():
    inside = Path(sys.prefix) / "data"
    command = Bubblewrap("bwrap", inside).command(("python",), inside / "work" / "j-1")
    assert command[command.index("--tmpfs") + 1] == str(inside)
    assert "--tmpfs" not in Bubblewrap("bwrap", Path("/srv/sterna")).command(("python",), Path("/srv/sterna/j-1"))


def test_libraries_of_the_environment_are_shown_once(tmp_path):
    (tmp_path / "cuda" / "lib").mkdir(parents=True)
    environ = {"LD_LIBRARY_PATH": f"{tmp_path}/cuda:{tmp_path}/cuda/lib:/usr/lib:relative::/absent"}
    shown = list(_shown(environ))
    assert tmp_path / "cuda" in shown
    assert not {tmp_path / "cuda" / "lib", Path("/usr/lib"), Path("relative"), Path("/absent")} & set(shown)


def test_the_gpu_of_a_slot_is_let_in_and_no_other(tmp_path):
    assert "--dev-bind" not in Bubblewrap("bwrap", tmp_path).command(("python",), tmp_path / "j")
    devices = ["/dev/nvidiactl", "/dev/nvidia1"]
    command = Bubblewrap("bwrap", tmp_path).command(("python",), tmp_path / "j", [Path(name) for name in devices])
    assert options(command, "--dev-bind") == devices
    let_in = list(_gpus([Path(name) for name in devices]))
    assert let_in == [word for path in devices for word in ("--dev-bind", path, path)] + [
        "--ro-bind-try",
        "/sys",
        "/sys",
    ]


def test_without_a_proc_of_its_own_it_sees_the_processor_and_no_process(bubblewrap, tmp_path):
    """As in a container, where part of `/proc` is masked and the kernel refuses a new one."""
    folder = tmp_path / "work"
    for name in ("out", "tmp"):
        (folder / name).mkdir(parents=True)
    bare = dataclasses.replace(bubblewrap, data_dir=tmp_path / "data", extra=(), own_proc=False)
    looks = "import os; print(sorted(os.listdir('/proc'))); print('processor' in open('/proc/cpuinfo').read())"
    done = subprocess.run(
        bare.command((sys.executable, "-c", f"{looks}; open('/proc/x', 'w')"), folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "['cpuinfo', 'meminfo']\nTrue\n"
    assert "Read-only file system" in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize(("code", "own"), [(0, 0), (3, 3), (137, -9), (139, -11), (-9, -9)])
def test_signals_are_told_as_a_shell_tells_them(tmp_path, code, own):
    assert Bubblewrap("bwrap", tmp_path).exit_code(code) == own
