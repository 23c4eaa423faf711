"""A model file becomes a network, whatever its format."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from sterna.graph import Network
from sterna.intake.archive import Archive
from sterna.intake.bundle import Bundle
from sterna.intake.formats import Format, sniff_format
from sterna.intake.limits import DEFAULT_LIMITS, MODEL, Limits
from sterna.intake.onnx import Onnx
from sterna.intake.pt2 import Pt2


class Model(Protocol):
    """A model file whose headers are read and whose tensors are not yet looked at.

    Attributes:
        network: the graph, checked, and its tensors, which stay in the file.
        output_shape: of what it returns first, as the file has it; None for a size that may differ.
    """

    network: Network
    output_shape: tuple[int | None, ...]

    def check_bytes(self) -> None:
        """Raise ModelCorrupt unless the bytes of every tensor are those that were written, where the format tells."""


def open_model(path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> tuple[Format, Model]:
    """Read what a model is, from its headers.

    Raises:
        InputError: as `read_model`.
    """
    format_ = sniff_format(path, limits)
    readers: Mapping[Format, Callable[[str | os.PathLike[str], Limits], Model]] = {
        "pt2": Pt2, "onnx": Onnx, "bundle": Bundle
    }  # fmt: skip
    return format_, readers[format_](path, limits)


def network_bytes(path: str | os.PathLike[str]) -> int:
    """The size of a model file, less the examples of inputs that torch keeps in a `.pt2`, which may be of any size.

    Raises:
        InputError: as `read_model`.
    """
    size = Path(path).stat().st_size
    if sniff_format(path) != "pt2":
        return size
    members = Archive(path, limits=DEFAULT_LIMITS, refusals=MODEL).members
    return size - sum(member.stored_bytes for name, member in members.items() if "/data/sample_inputs/" in name)


def read_model(path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> Network:
    """Read a model, whatever its format; nothing in it is executed.

    The bytes of all tensors are read once to see that they are undamaged, where the format tells, and stay in the file:
    the arrays of the result are mapped and read-only, or read when they are asked for.

    Raises:
        UnsupportedFormat, ModelVersionUnsupported: it is nothing that is read; the hint says how to export it.
        ModelUnsafe, ModelCorrupt, ModelTooLarge, OperatorUnsupported: as they say.
    """
    _, model = open_model(path, limits)
    model.check_bytes()
    return model.network
