import subprocess
import sys
from pathlib import Path

import pytest

import sterna as package

FILES = "compress inspect verify unpack"
SERVICE = "serve submit estimate sweep status wait events logs download cancel stop retry delete list"
COMMANDS = f"{FILES} {SERVICE}".split()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(sterna, command):
    done = sterna(command, "--help")
    assert done.code == 0
    assert "--help" in done.out
    assert len(done.out) > 300


def test_help_lists_every_command_and_the_exit_codes(sterna):
    done = sterna("--help")
    assert all(command in done.out for command in COMMANDS)
    assert "4 acceptance missed" in done.out


def test_version(sterna):
    assert sterna("--version").out == f"sterna {package.__version__}\n"


def test_as_a_module_and_without_torch(tiny):
    wall = "import sys; sys.modules['torch'] = None; sys.argv = ['sterna', *sys.argv[1:]]"
    script = f"{wall}; from sterna.cli import main; main()"
    for arguments, code in ((["inspect", tiny.model], 0), (["compress", tiny.model, "-s", "0.5", "-o", "x.sterna"], 2)):
        done = subprocess.run(
            [sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        assert code == 0 or "needs torch" in done.stderr
    done = subprocess.run([sys.executable, "-m", "sterna.cli", "--version"], capture_output=True, check=True)
    assert done.stdout.startswith(b"sterna ")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that opens and cannot be read")
def test_a_read_that_fails_is_not_the_callers_fault(sterna):
    done = sterna("inspect", "/proc/self/mem")
    assert done.code == 3
    assert "error[JOB_FAILED]" in done.err
    assert "hint: " in done.err


def test_a_full_disk_is_an_error_in_words(artifact):
    command = [sys.executable, "-m", "sterna.cli", "inspect", str(artifact), "--json"]
    with open("/dev/full", "wb") as full:  # noqa: PTH123  a device
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("error[JOB_FAILED]: No space left on device\n")
