"""What `make` would do to set up an environment, asked of make itself."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def planned(tmp_path, *variables):
    """The pip commands of a fresh clone, none of them run."""
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    command = ["make", "--dry-run", "demo", *variables]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    return [line for line in told.splitlines() if "pip install" in line]


@pytest.mark.parametrize("variables", [(), ("TORCH_INDEX=",)])
def test_everything_comes_from_where_pip_looks(tmp_path, variables):
    [everything] = planned(tmp_path, *variables)
    assert "index" not in everything


def test_torch_comes_first_and_from_the_index_that_was_given(tmp_path):
    torch, everything = planned(tmp_path, "TORCH_INDEX=http://index.invalid/cpu")
    assert "--index-url http://index.invalid/cpu" in torch
    asked = torch.rsplit('"', 2)[1]
    printed = subprocess.run(
        ["/bin/sh", "-c", f'echo "{asked}"'], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert printed.stdout.startswith("torch==")
    assert "index" not in everything
