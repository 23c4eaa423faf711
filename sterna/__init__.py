"""Sterna: ternary networks with exactly the sparsity asked for.

`sterna.load(path)` gives a runnable torch module from a packed artifact, with no class of the user's;
`sterna.artifact` reads the same file with numpy alone; `sterna.compress` makes one. Importing `sterna` imports none of
them: torch is loaded when something that needs it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sterna.errors import InvalidSpec

if TYPE_CHECKING:
    from os import PathLike

    from torch import nn

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(path: str | PathLike[str]) -> nn.Module:
    """Give the network of an artifact as a torch module in evaluation mode.

    Needs the extra `sterna[train]` (torch). Nothing in the file is executed.

    Raises:
        InvalidSpec: torch is not installed.
        ArtifactCorrupt, ArtifactDigestMismatch, ArtifactVersionUnsupported: the file cannot be trusted or read.
    """
    try:
        from sterna.module.load import load_module  # noqa: PLC0415  torch is imported only by those who load
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise InvalidSpec(
            "a runnable network needs torch, which is not installed here",
            hint="pip install 'sterna[train]'. `sterna.artifact` reads the same file with numpy alone.",
        ) from None
    return load_module(path)
