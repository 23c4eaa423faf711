"""A packed artifact in the formats that other programs read: dense safetensors now; the table is where others join."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sterna.artifact import unpack_artifact

__all__ = ["EXPORTS", "Export"]


@dataclass(frozen=True, slots=True)
class Export:
    """One format to export to.

    Attributes:
        file_name: name of the file that is made.
        media_type: what it is served as.
        write: (artifact path, output path) → writes the output.
    """

    file_name: str
    media_type: str
    write: Callable[[Path, Path], None]


EXPORTS: Mapping[str, Export] = {
    "safetensors": Export("model.safetensors", "application/vnd.safetensors", unpack_artifact),
}
