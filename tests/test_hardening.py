"""What the kernel says of a process that asked it for protection."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="these are calls of the Linux kernel")


def kernels_answer(before, number, path):
    body = (
        f"import ctypes; from pathlib import Path; from sterna import hardening; assert hardening.{before}(); "
        f"print(ctypes.CDLL(None).prctl({number}, 0, 0, 0, 0)); print(Path({path!r}).read_text())"
    )
    return subprocess.run([sys.executable, "-c", body], capture_output=True, text=True, check=True).stdout.splitlines()


def test_a_hidden_process_is_not_dumpable_and_goes_on_working():
    get_dumpable = 3
    assert kernels_answer("hide_process", get_dumpable, "/proc/self/stat")[0] == "0"


def test_new_privileges_are_refused():
    get_no_new_privs = 39
    answer = kernels_answer("refuse_new_privileges", get_no_new_privs, "/proc/self/status")
    assert answer[0] == "1"
    assert "NoNewPrivs:\t1" in answer
