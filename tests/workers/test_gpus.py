"""What `nvidia-smi -L` and the driver print, as NVIDIA documents it; no GPU is needed to read it."""

import sys

import pytest

from workers.gpus import Gpu, find_gpus, parse_list

TWO = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-5d7a2f6e-0000-1111-2222-333344445555)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-9c1b0e3d-0000-1111-2222-333344445555)
"""
DIVIDED = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aaaaaaaa-0000-1111-2222-333344445555)
  MIG 3g.20gb     Device  0: (UUID: MIG-11111111-0000-1111-2222-333344445555)
  MIG 1g.5gb      Device  1: (UUID: MIG-22222222-0000-1111-2222-333344445555)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bbbbbbbb-0000-1111-2222-333344445555)
"""
INFORMATION = """\
Model: \t\t NVIDIA H100 80GB HBM3
IRQ:   \t\t 120
GPU UUID: \t {uuid}
Bus Type: \t PCIe
Bus Location: \t 0000:07:00.0
Device Minor: \t {minor}
GPU Excluded:\t {excluded}
"""


def driver(folder, *gpus):
    for n, (uuid, minor, excluded) in enumerate(gpus):
        (folder / f"0000:{n:02}:00.0").mkdir()
        text = INFORMATION.format(uuid=uuid, minor=minor, excluded=excluded)
        (folder / f"0000:{n:02}:00.0" / "information").write_text(text)
    return folder


def printing(text, code=0):
    return (sys.executable, "-c", f"print({text!r}, end=''); raise SystemExit({code})")


def test_gpus_are_listed_in_their_order():
    assert list(parse_list(TWO, {"GPU-9c1b0e3d-0000-1111-2222-333344445555": 3})) == [
        Gpu(0, "GPU-5d7a2f6e-0000-1111-2222-333344445555"),
        Gpu(1, "GPU-9c1b0e3d-0000-1111-2222-333344445555", 3),
    ]


def test_a_divided_gpu_is_its_parts():
    whole = "GPU-aaaaaaaa-0000-1111-2222-333344445555"
    assert [(gpu.index, gpu.uuid[:6], gpu.minor) for gpu in parse_list(DIVIDED, {whole: 7})] == [
        (0, "MIG-11", 7),
        (0, "MIG-22", 7),
        (1, "GPU-bb", None),
    ]


@pytest.mark.parametrize("text", ["", "No devices found.\n", "  MIG 1g.5gb Device 0: (UUID: MIG-1)\n", "GPU x: y\n"])
def test_other_text_is_no_gpu(text):
    assert list(parse_list(text, {})) == []


def test_the_program_says_which_gpus_and_the_driver_which_file(tmp_path):
    driver(tmp_path, ("GPU-bbbbbbbb-0000-1111-2222-333344445555", 5, "No"))
    minors = [gpu.minor for gpu in find_gpus(printing(DIVIDED), tmp_path)]
    assert minors == [None, None, 5]


@pytest.mark.parametrize("command", [("no-such-program",), printing("driver mismatch", 9)])
def test_without_the_program_the_driver_alone_is_asked(tmp_path, command):
    driver(tmp_path, ("GPU-a", 1, "No"), ("GPU-b", 0, "Yes"), ("GPU-c", "?", "No"))
    assert find_gpus(command, tmp_path) == (Gpu(0, "GPU-a", 1), Gpu(1, "GPU-c", None))


def test_a_machine_without_a_driver_has_none(tmp_path):
    assert find_gpus(("no-such-program",), tmp_path / "absent") == ()


def test_a_program_that_sees_none_is_believed(tmp_path):
    driver(tmp_path, ("GPU-a", 1, "No"))
    assert find_gpus(printing(""), tmp_path) == ()
