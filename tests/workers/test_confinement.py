import logging
import os

import pytest
from pydantic import ValidationError

from sterna.errors import SandboxUnavailable
from workers.bubblewrap import Bubblewrap
from workers.confinement import LimitsAlone, SandboxSettings, choose_confinement, find_bubblewrap


def choose(wish, folder):
    return choose_confinement(SandboxSettings(sandbox=wish), data_dir=folder, work_root=folder / "work")


@pytest.fixture
def program(tmp_path, monkeypatch):
    """The only `bwrap` of this machine, which does as it is told."""

    def install(script):
        monkeypatch.setenv("PATH", str(tmp_path))
        if script is not None:
            (tmp_path / "bwrap").write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / "bwrap").chmod(0o755)

    return install


FORBIDDEN = "echo 'bwrap: No permissions to create new namespace' >&2; exit 1"


@pytest.mark.parametrize(
    ("script", "why_not"),
    [(None, "not installed"), (FORBIDDEN, "No permissions to create new namespace"), ("exit 7", "ended with 7")],
)
def test_where_it_does_not_work_it_is_said_why_and_nothing_is_pretended(program, tmp_path, caplog, script, why_not):
    program(script)
    with caplog.at_level(logging.WARNING):
        assert choose("auto", tmp_path) == LimitsAlone()
    assert why_not in caplog.text
    with pytest.raises(SandboxUnavailable, match=why_not) as refused:
        choose("required", tmp_path)
    assert "docs/security.md" in refused.value.hint
    assert list((tmp_path / "work").glob("*")) == []


def test_an_old_version_is_used_as_far_as_it_goes(program, tmp_path):
    program('for word in "$@"; do [ "$word" = --disable-userns ] && exit 1; done; exit 0')
    assert choose("required", tmp_path) == Bubblewrap(str(tmp_path / "bwrap"), tmp_path)


def test_where_the_kernel_refuses_a_new_proc_it_does_without(program, tmp_path):
    program('for word in "$@"; do case "$word" in --proc|--disable-userns) exit 1;; esac; done; exit 0')
    assert choose("required", tmp_path) == Bubblewrap(str(tmp_path / "bwrap"), tmp_path, own_proc=False)


def test_off_is_off(program, tmp_path):
    program("exit 0")
    assert choose("off", tmp_path) == LimitsAlone()


def test_the_wish_is_one_of_three(monkeypatch):
    assert SandboxSettings().sandbox == os.environ.get("STERNA_SANDBOX", "auto")
    monkeypatch.setenv("STERNA_SANDBOX", "maybe")
    with pytest.raises(ValidationError, match="required"):
        SandboxSettings()


def test_the_real_one_is_found(bubblewrap, tmp_path):
    assert find_bubblewrap(tmp_path, tmp_path / "work").program == bubblewrap.program
    assert find_bubblewrap(tmp_path, tmp_path / "work", program="no-such-program") == "no-such-program is not installed"
