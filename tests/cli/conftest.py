from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest

from api_schemas import CompressSpec
from sterna.cli import main
from sterna.compress import compress
from tests.cli.live_service import listening, serving


@dataclass
class Done:
    code: int
    out: str
    err: str


@pytest.fixture
def sterna(monkeypatch, capfd):
    """Run the command line in this process."""

    def run(*arguments) -> Done:
        monkeypatch.setattr(sys, "argv", ["sterna", *map(str, arguments)])
        capfd.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return Done(code, out, err)

    return run


@pytest.fixture(scope="session")
def artifact(tiny, tmp_path_factory):
    """An artifact of the tiny network, half of its weights zero."""
    folder = tmp_path_factory.mktemp("artifact")
    compress(tiny.model, tiny.data, CompressSpec(target_sparsity=0.5, budget={"epochs": 2}), folder)
    return folder / "model.sterna"


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """The address of a live service with its worker."""
    with serving(tmp_path_factory.mktemp("serve"), "--port", "0") as (process, output):
        yield listening(process, output)


@pytest.fixture
def at_service(sterna, service, monkeypatch):
    """The command line, told of the live service."""
    monkeypatch.setenv("STERNA_URL", service)
    return sterna
