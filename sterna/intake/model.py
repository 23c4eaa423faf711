"""A model file becomes a network."""

from __future__ import annotations

import os

from sterna.graph import Network
from sterna.intake.formats import sniff_format
from sterna.intake.limits import DEFAULT_LIMITS, Limits
from sterna.intake.pt2 import Pt2


def read_model(path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> Network:
    """Read a model, whatever its format; nothing in it is executed.

    The bytes of all tensors are read once to see that they are undamaged, and stay in the file: the arrays of the
    result are mapped and read-only.

    Raises:
        UnsupportedFormat, ModelVersionUnsupported: it is nothing that is read; the hint says how to export it.
        ModelUnsafe, ModelCorrupt, ModelTooLarge, OperatorUnsupported: as they say.
    """
    sniff_format(path, limits)
    model = Pt2(path, limits)
    model.check_bytes()
    return model.network
