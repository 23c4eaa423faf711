import os
import signal
import sys
import time

from workers.child import Child, EndOfOutput, OverlongLine

LINE_BYTES = 2**20
TALKER = f"""
import sys
from pathlib import Path
for n in range(1000):
    sys.stdout.write("x" * {LINE_BYTES - 1} + "\\n")
    sys.stdout.flush()
    Path("said").write_text(str(n + 1))
"""


def test_a_child_that_nobody_listens_to_is_held_back(tmp_path, eventually):
    said = tmp_path / "said"
    with Child([sys.executable, "-c", TALKER], tmp_path, os.environ, tmp_path / "log", line_bytes=LINE_BYTES) as child:
        eventually(lambda: said.exists() and int(said.read_text() or 0) >= 8)
        time.sleep(0.5)
        assert int(said.read_text() or 0) <= 12
        assert len(child.next_line(timeout_s=60)) == LINE_BYTES


def python(code, folder, **options):
    return Child([sys.executable, "-c", code], folder, os.environ, folder / "log", **({"line_bytes": 100} | options))


def all_that(child):
    """What it says until the end of its output."""
    said = []
    while (line := child.next_line(timeout_s=60)) is not EndOfOutput:
        assert line is not None
        said.append(line)
    return said


def test_what_a_child_said_outlives_it_however_late_it_is_read(tmp_path, monkeypatch):
    slow, put = time.sleep, Child._put
    monkeypatch.setattr(Child, "_put", lambda self, item: slow(0.3) or put(self, item))
    with python("print('one'); print('two'); print('half', end='')", tmp_path) as child:
        assert child.wait(grace_s=60) == 0
        assert all_that(child) == [b"one\n", b"two\n"]


def test_the_output_ends_with_the_child_although_another_holds_it_open(tmp_path):
    forked = tmp_path / "forked"
    code = f"""
import os, time
pid = os.fork()
if pid == 0:
    os.setsid()
    time.sleep(600)
open({str(forked)!r}, "w").write(str(pid))
print("word")
"""
    with python(code, tmp_path) as child:
        try:
            assert all_that(child) == [b"word\n"]
            assert child.wait(grace_s=60) == 0
        finally:
            os.kill(int(forked.read_text()), signal.SIGKILL)


def test_the_lines_before_one_that_is_too_long_are_heard(tmp_path):
    with python("print('x' * 99); print('x' * 100); print('more')", tmp_path) as child:
        assert all_that(child) == [b"x" * 99 + b"\n", OverlongLine]
    with python("print('x' * 10**6, end='', flush=True); import time; time.sleep(600)", tmp_path) as child:
        assert all_that(child) == [OverlongLine]
