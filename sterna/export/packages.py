"""Packages that only some exports need: told in words where they are missing."""

from __future__ import annotations

from importlib.util import find_spec

from sterna.errors import ExtraMissing

_EXTRAS = {"torch": "train"}


def require(*packages: str) -> None:
    """Refuse to begin without these packages.

    Raises:
        ExtraMissing: some are not installed here.
    """
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        extras = ",".join(dict.fromkeys(_EXTRAS.get(package, "export") for package in missing))
        raise ExtraMissing(
            f"this export needs {', '.join(missing)}, not installed here", hint=f"pip install 'sterna[{extras}]'"
        )
