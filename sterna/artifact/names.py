"""The names of stored tensors (docs/format.md, section 3).

An original name has no slash, so what is derived from one by a slash cannot be the name of another tensor.
"""

from __future__ import annotations

GRAPH = "sterna/graph"
MANIFEST = "sterna.manifest"
MANIFEST_SHA256 = "sterna.manifest_sha256"


def codes_name(name: str) -> str:
    """Name under which the codes of a ternary weight are stored."""
    return f"{name}/codes"


def scale_name(name: str) -> str:
    """Name under which the scale of a ternary weight is stored."""
    return f"{name}/scale"
