"""The `.pt2` of `torch.export.save`, read without torch and without running anything that is in it.

    NAME/archive_format, archive_version, byteorder     what it is
    NAME/models/model.json                              the network (pt2_graph.py)
    NAME/data/weights/, NAME/data/constants/            its tensors (pt2_tensors.py)
    NAME/data/sample_inputs/                            a pickle: never opened

Schema 8 is read, whatever its minor version: by torch's own rule those only add members that may be left out, and what
a node is given in a way that is not known is refused where it stands. Archives that pickle their weights
(`data/weights/model.pt`, torch 2.8) are refused.

The stock loader unpickles sample inputs and odd tensors, evaluates expressions and loads compiled libraries. None of
that is needed to know a network.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from sterna.errors import ModelCorrupt, ModelUnsafe, ModelVersionUnsupported
from sterna.graph import Network
from sterna.graph.check import quoted
from sterna.intake.archive import Archive
from sterna.intake.formats import EXPORT_HINT
from sterna.intake.json_text import Reader, parse_object
from sterna.intake.limits import DEFAULT_LIMITS, MODEL, Limits
from sterna.intake.pt2_graph import read_graph, read_output_shape
from sterna.intake.pt2_tensors import check_total, map_tensor, read_index

SCHEMA_MAJOR: Final = 8
MOST_VERSION_CHARACTERS: Final = 40
_MARKS: Final = {"archive_format": b"pt2", "archive_version": b"0", "byteorder": b"little"}
_COMPILED: Final = ("data/aotinductor/", "data/executorch/", "data/mtia/")


class Pt2:
    """One `.pt2`: its network, whose tensors are mapped and not yet looked at.

    Args:
        path: the file.
        limits: what it may not exceed.

    Attributes:
        network: the graph, checked, and its tensors as read-only arrays over the mapped file.
        output_shape: of what it returns first, as the file has it; None for a size that may differ.

    Raises:
        ModelUnsafe: reading it would mean running code from it.
        ModelCorrupt, ModelTooLarge, ModelVersionUnsupported, OperatorUnsupported: as they say.
    """

    def __init__(self, path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> None:
        self._archive = Archive(path, limits=limits, refusals=MODEL)
        root = _root(self._archive)
        _check_marks(self._archive, root)
        program = self._read_program(root, limits)
        weights = read_index(self._archive, f"{root}data/weights/", "model_weights_config.json", limits)
        constants = read_index(self._archive, f"{root}data/constants/", "model_constants_config.json", limits)
        twice = weights.keys() & constants.keys()
        if twice:
            raise ModelCorrupt(f"{quoted(min(twice))} is a weight and a constant")
        stored = {**weights, **constants}
        graph = read_graph(program, stored)
        self.output_shape = read_output_shape(program)
        self._stored = {name: stored[name] for name in graph.tensors}
        check_total(self._stored, limits)
        self.network = Network(graph, {name: map_tensor(self._archive, one) for name, one in self._stored.items()})

    def check_bytes(self) -> None:
        """Raise ModelCorrupt unless the bytes of every tensor are those that were written; reads them all once."""
        for member in dict.fromkeys(tensor.member for tensor in self._stored.values()):
            self._archive.check_crc(member)

    def _read_program(self, root: str, limits: Limits) -> dict[str, object]:
        models = [name for name in self._archive.members if name.startswith(f"{root}models/")]
        if models != [f"{root}models/model.json"]:
            raise ModelVersionUnsupported(f"the .pt2 holds {len(models)} networks; one is read", hint=EXPORT_HINT)
        text = self._archive.read(models[0], limits.max_json_bytes)
        program = parse_object(text, "the network", MODEL)
        reader = Reader("the network", MODEL)
        version = reader.get(program, "schema_version", dict)
        major = reader.get(version, "major", int)
        if major != SCHEMA_MAJOR:
            raise ModelVersionUnsupported(
                f"the .pt2 has schema {major}, written by torch {_torch_version(program)};"
                f" schema {SCHEMA_MAJOR} is read, which torch 2.13 writes",
                hint=EXPORT_HINT,
            )
        if f"{root}data/weights/model.pt" in self._archive.members:
            raise ModelVersionUnsupported(
                f"the .pt2 was written by torch {_torch_version(program)}, which pickles the weights",
                hint="Load it with the torch that wrote it, export the module again with torch 2.13 and save that.",
            )
        return program


def _torch_version(program: Mapping[str, object]) -> str:
    """What the file says it was written by, short and printable, for a message."""
    version = program.get("torch_version")
    return repr(version[:MOST_VERSION_CHARACTERS]) if isinstance(version, str) else "of a version that it does not say"


def _root(archive: Archive) -> str:
    roots = {name.partition("/")[0] for name in archive.members}
    if len(roots) != 1 or not all("/" in name for name in archive.members):
        raise ModelCorrupt("the members of a .pt2 lie in one folder; these do not", hint=EXPORT_HINT)
    root = f"{roots.pop()}/"
    for folder in _COMPILED:
        if any(name.startswith(root + folder) for name in archive.members):
            raise ModelUnsafe(f"the .pt2 holds compiled code under {folder!r}", hint=EXPORT_HINT)
    return root


def _check_marks(archive: Archive, root: str) -> None:
    for name, wanted in _MARKS.items():
        found = archive.read(root + name, max_bytes=64).strip()
        if found != wanted:
            raise ModelVersionUnsupported(
                f"the .pt2 has {found.decode('ascii', 'replace')!r} as {name}; {wanted.decode()!r} is read",
                hint=EXPORT_HINT,
            )
