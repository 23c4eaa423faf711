import os
import subprocess
import sys

import pytest
import torch

from sterna.threads import calm_threads, usable_cores
from workers.child import scrubbed_environment

# What the C library sees, which is what OpenMP reads when torch loads it: `os.environ` may have been changed later.
SEEN = """
import os, sys
{way}
import torch
print(os.environ.get("OMP_WAIT_POLICY"), torch.get_num_threads())
"""
COMMAND = """
import sys
sys.argv = ["sterna", "--version"]
from sterna.cli import main
try:
    main()
except SystemExit:
    pass
assert "torch" not in sys.modules
"""


@pytest.mark.parametrize(
    ("way", "given"),
    [
        (COMMAND, {}),
        ("import examples.digits", {}),
        ("import bench", {}),
        (COMMAND, {"OMP_WAIT_POLICY": "ACTIVE", "OMP_NUM_THREADS": "1"}),
    ],
)
def test_whatever_of_ours_loads_torch_calms_its_threads_first_and_leaves_what_the_user_set(way, given):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "MKL_"))}
    done = subprocess.run(
        [sys.executable, "-c", SEEN.format(way=way)],
        env=environment | given,
        capture_output=True,
        text=True,
        check=True,
    )
    policy, threads = done.stdout.splitlines()[-1].split()
    assert policy == given.get("OMP_WAIT_POLICY", "PASSIVE")
    assert int(threads) == int(given.get("OMP_NUM_THREADS", usable_cores()))


def test_these_tests_say_how_many_threads_there_are_before_torch_is_loaded():
    assert os.environ["OMP_WAIT_POLICY"]
    assert torch.get_num_threads() == int(os.environ["OMP_NUM_THREADS"])


def test_a_runner_is_calm_and_has_what_the_user_set(tmp_path):
    assert scrubbed_environment(tmp_path, {})["OMP_WAIT_POLICY"] == "PASSIVE"
    given = {"OMP_WAIT_POLICY": "ACTIVE", "OMP_NUM_THREADS": "5"}
    assert scrubbed_environment(tmp_path, given).items() >= given.items()


@pytest.mark.parametrize(
    ("cpu_max", "allowed"),
    [("max 100000\n", 1024), ("100000 100000\n", 1), ("50000 100000\n", 1), ("nonsense", 1024), (None, 1024)],
)
def test_the_share_of_a_container_counts(tmp_path, monkeypatch, cpu_max, allowed):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(1024))
    if cpu_max is not None:
        (tmp_path / "cpu.max").write_text(cpu_max)
    assert usable_cores(tmp_path / "cpu.max") == allowed


def test_nothing_but_two_variables_is_touched():
    environ = {"PATH": "/bin"}
    calm_threads(environ)
    assert set(environ) == {"PATH", "OMP_WAIT_POLICY", "OMP_NUM_THREADS"}
