"""`sterna serve` in a process of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager


@contextmanager
def serving(folder, *arguments):
    output = folder / "serve.out"
    with output.open("wb") as stream, hearing_signals():
        process = subprocess.Popen(
            [sys.executable, "-m", "sterna.cli", "serve", "--data-dir", str(folder / "data"), *arguments],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=os.environ | {"STERNA_LEASE_S": "30"},
        )
    try:
        yield process, output
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=60)


@contextmanager
def hearing_signals():
    """What starts in the block hears SIGHUP and SIGINT, even where the tests run under nohup or in the background."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGHUP, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def listening(process, output):
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and process.poll() is None:
        found = re.fullmatch(r"Sterna is listening on (http://127\.0\.0\.1:\d+)\n", output.read_text())
        if found:
            return found[1]
        time.sleep(0.05)
    raise AssertionError(output.read_text())
