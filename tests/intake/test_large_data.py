"""Files of a gigabyte, looked through and sampled by processes that may not grow by it. The files are sparse."""

import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

SIZE = 10**9
COLUMNS = 250
ROWS = SIZE // (4 * COLUMNS)
MOST_MB = 300
GRAPH = f"""
import re, sys
from pathlib import Path
from sterna.graph import Graph, Input, ValueRef
graph = Graph((Input("x", "float32", (None, {COLUMNS})),), {{}}, (), (ValueRef("x"),))
def peak_mb():
    # Not ru_maxrss, which begins with what the parent had when it started this process.
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text()).group(1)) * 1.024e-3
"""


def say(body: str, path: Path) -> list[float]:
    """The figures that a process with this body prints."""
    done = subprocess.run(
        [sys.executable, "-c", GRAPH + body, str(path)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return [float(word) for word in done.stdout.split()]


def sparse_safetensors(path: Path, rows: int = ROWS) -> Path:
    size = rows * COLUMNS * 4
    header = json.dumps({"x": {"dtype": "F32", "shape": [rows, COLUMNS], "data_offsets": [0, size]}}).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + size)
    return path


def sparse_npz(path: Path, rows: int = ROWS) -> Path:
    """A zip file of one stored member, written by hand because `zipfile` would write the zeros."""
    size = rows * COLUMNS * 4
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {COLUMNS}), }}\n".encode()
    npy = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
    crc32, zeros = zlib.crc32(npy), bytes(2**22)
    for start in range(0, size, len(zeros)):
        crc32 = zlib.crc32(zeros[: size - start], crc32)
    fields = struct.pack("<4H3L2H", 0, 0, 0, 0, crc32, len(npy) + size, len(npy) + size, 5, 0)
    local = b"PK\x03\x04" + struct.pack("<H", 20) + fields + b"x.npy"
    central = b"PK\x01\x02" + struct.pack("<2H", 20, 20) + fields + struct.pack("<3H2L", 0, 0, 0, 0, 0) + b"x.npy"
    end = b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 1, 1, len(central), len(local) + len(npy) + size, 0)
    with path.open("wb") as file:
        file.write(local + npy)
        file.seek(size, 1)
        file.write(central + end)
    return path


@pytest.mark.parametrize("make", [sparse_safetensors, sparse_npz], ids=["safetensors", "npz"])
def test_a_gigabyte_is_checked_in_little_memory(make, tmp_path):
    path = make(tmp_path / "data")
    assert path.stat().st_size > SIZE
    assert path.stat().st_blocks * 512 < SIZE / 100
    body = "from sterna.intake.data import check_data; check_data(sys.argv[1], graph); print(peak_mb())"
    assert say(body, path)[0] < MOST_MB


def test_batches_read_their_own_rows(tmp_path):
    """Training begins without the data having been read into memory: torch is there before and after."""
    body = """
import torch
from itertools import islice
from sterna.compress.samples import load_samples
from sterna.intake import Data
from sterna.intake.limits import Limits
from sterna.intake.safetensors import read_safetensors
array = read_safetensors(sys.argv[1], Limits())["x"].read()
data = Data({"x": array}, None, None, None, len(array))
before = peak_mb()
train = load_samples(graph, data, seed=0).train
for batch in islice(train.shuffled(torch.Generator()), 20):
    assert batch.inputs[0].shape == (64, array.shape[1])
print(before, peak_mb(), len(train.inputs[0]))
"""
    before, after, samples = say(body, sparse_safetensors(tmp_path / "data"))
    assert after - before < 150
    assert samples == ROWS * 4 // 5
