"""Names of an ONNX file, which may be any text, as names of values and tensors here, which are identifiers.

    input.1 → input_1        /layer1/Conv_output_0 → layer1_Conv_output_0        (values)
    fc.weight → fc.weight    layers/0/kernel:0 → layers.0.kernel_0               (tensors)

The same file always gives the same names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sterna.graph.check import MAX_NAME_CHARACTERS

_ODD = re.compile(r"[^A-Za-z0-9_]+", re.ASCII)


class ValueNames:
    """Gives each value an identifier that no other has."""

    def __init__(self) -> None:
        self._taken = _Taken()

    def take(self, name: str) -> str:
        """A new identifier like `name`."""
        wanted = _ODD.sub("_", name[:MAX_NAME_CHARACTERS]).strip("_")[: MAX_NAME_CHARACTERS - 16] or "value"
        if wanted[0].isdigit():
            wanted = f"_{wanted}"
        return self._taken.take(wanted, set())


class TensorNames:
    """Gives each tensor a dotted name that no other has, and that is no module which holds another."""

    def __init__(self) -> None:
        self._taken = _Taken()
        self._modules: set[str] = set()

    def take(self, name: str) -> str:
        """A new dotted name like `name`."""
        parts = [_part(part) for part in re.split(r"[./]", name[: MAX_NAME_CHARACTERS // 2])]
        wanted = ".".join(part for part in parts if part) or "tensor"
        if _owners(wanted) & self._taken.names:
            wanted = wanted.replace(".", "_")
        free = self._taken.take(wanted, self._modules)
        self._modules |= _owners(free)
        return free


def _part(part: str) -> str:
    cleaned = _ODD.sub("_", part).strip("_")
    return f"_{cleaned}" if cleaned[:1].isdigit() and not cleaned.isdigit() else cleaned


def _owners(name: str) -> set[str]:
    parts = name.split(".")
    return {".".join(parts[:depth]) for depth in range(1, len(parts))}


@dataclass
class _Taken:
    """Names that are given, and how often each was asked for, so that the next free one is found at once."""

    names: set[str] = field(default_factory=set)
    _asked: dict[str, int] = field(default_factory=dict)

    def take(self, wanted: str, reserved: set[str]) -> str:
        """`wanted`, or it with the first number that makes it free."""
        name = wanted
        while name in self.names or name in reserved:
            self._asked[wanted] = self._asked.get(wanted, 1) + 1
            name = f"{wanted}_{self._asked[wanted]}"
        self.names.add(name)
        return name
