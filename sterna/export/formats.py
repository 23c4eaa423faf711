"""The table of formats to export to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sterna.artifact import unpack_artifact
from sterna.export.gguf_file import export_gguf
from sterna.export.onnx_file import check_onnx, export_onnx
from sterna.export.packages import require
from sterna.export.pt2_file import export_pt2
from sterna.graph import Graph


@dataclass(frozen=True, slots=True)
class Export:
    """One format to export to.

    Attributes:
        file_name: name of the file that is made.
        media_type: what it is served as.
        write: (artifact path, output path) → writes the output, which appears whole or not at all.
        packages: what has to be installed to write it and to measure it.
        check: raises for a graph that cannot be written, before any work is done.
    """

    file_name: str
    media_type: str
    write: Callable[[Path, Path], None]
    packages: tuple[str, ...] = ()
    check: Callable[[Graph], None] = lambda _: None


EXPORTS: Mapping[str, Export] = {
    "onnx": Export("model.onnx", "application/vnd.onnx", export_onnx, ("onnx", "onnxruntime"), check_onnx),
    "gguf": Export("model.gguf", "application/vnd.gguf", export_gguf, ("gguf",)),
    "safetensors": Export("model.safetensors", "application/vnd.safetensors", unpack_artifact),
    "pt2": Export("model.pt2", "application/vnd.pytorch.pt2", export_pt2, ("torch",)),
}


def check_exports(names: Iterable[str], graph: Graph) -> None:
    """Refuse what would fail after the training: packages that are missing, operators that a format cannot say.

    Raises:
        ExtraMissing, ExportUnsupported: the first that is found.
    """
    for name in names:
        require(*EXPORTS[name].packages)
        EXPORTS[name].check(graph)
