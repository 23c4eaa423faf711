import os
import sys
import time

from workers.child import Child

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
        assert int(said.read_text()) <= 12
        assert len(child.next_line(timeout_s=1)) == LINE_BYTES
