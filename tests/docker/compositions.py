"""The compositions as tests read them: YAML with the variables' defaults filled in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
MAIN = ROOT / "docker-compose.yml"
OVERRIDES = (ROOT / "compose.gpu.yml", ROOT / "compose.sandbox.yml")
_DEFAULT = re.compile(r"\$\{[A-Z_]+:-([^}]*)\}")


def composition(path: Path = MAIN) -> dict[str, Any]:
    """A composition; `$$` is a dollar sign, as compose reads it."""
    return yaml.safe_load(_DEFAULT.sub(r"\1", path.read_text()).replace("$$", "$"))


def services() -> dict[str, dict[str, Any]]:
    return composition()["services"]


def is_once(service: dict[str, Any]) -> bool:
    """Whether it runs once and ends."""
    return service["restart"] == "no"
