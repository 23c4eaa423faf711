"""Outcomes as they come, a line each, so that an interrupted bench goes on where it was."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from bench.method.compare import Outcome

_MEASURED = ("sterna/method", "sterna/artifact/codec.py", "bench/method/compare.py", "bench/method/train.py")

Run = tuple[str, str, float | None, int]
"""Task, method, target, seed."""


class Journal:
    """The outcomes of one state of the code.

    Args:
        path: of the file, which keeps outcomes of other states too; they are passed over.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._code = _digest_of_code()
        self._outcomes: dict[Run, Outcome] = {}
        for line in path.read_text().splitlines() if path.exists() else ():
            entry = json.loads(line)
            if entry["code"] == self._code:
                self._remember(Outcome(**entry["outcome"]))

    def __contains__(self, run: Run) -> bool:
        return run in self._outcomes

    def __getitem__(self, run: Run) -> Outcome:
        return self._outcomes[run]

    def add(self, outcome: Outcome) -> None:
        """Write it down at once."""
        self._remember(outcome)
        with self._path.open("a") as file:
            file.write(json.dumps({"code": self._code, "outcome": asdict(outcome)}) + "\n")

    def _remember(self, outcome: Outcome) -> None:
        self._outcomes[outcome.task, outcome.method, outcome.target, outcome.seed] = outcome


def _digest_of_code() -> str:
    """sha-256 of every source file that an outcome depends on."""
    root = Path(__file__).parents[2]
    digest = hashlib.sha256()
    for place in _MEASURED:
        path = root / place
        for source in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(source.read_bytes())
    return digest.hexdigest()
