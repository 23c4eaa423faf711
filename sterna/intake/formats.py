"""What a model file is, from its content and never from its name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Literal, TypeAlias

from sterna.errors import ModelVersionUnsupported, UnsupportedFormat
from sterna.intake.archive import read_directory
from sterna.intake.limits import DEFAULT_LIMITS, MODEL, Limits

Format: TypeAlias = Literal["pt2", "onnx", "bundle"]

_ONNX_SECOND_KEYS: Final = (0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42)
_READ: Final = "a .pt2, an .onnx of one file, and a bundle of transformers"

EXPORT_HINT = (
    'Export it: torch.export.save(torch.export.export(model, args, dynamic_shapes=…), "model.pt2"), with torch 2.13.'
)


def sniff_format(path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> Format:
    """Tell the format of a model file.

    Raises:
        UnsupportedFormat: it is none that is read; the hint says how to make one.
        ModelVersionUnsupported: a `.pt2` of a torch too old.
        ModelCorrupt, ModelUnsafe, ModelTooLarge: its archive is not sound.
    """
    with Path(path).open("rb") as file:
        head = file.read(16)
    if _is_onnx(head):
        return "onnx"
    if head[:4] != b"PK\x03\x04":
        raise UnsupportedFormat(f"the model is {_name_of(head)}; read are {_READ}", hint=EXPORT_HINT)
    names = [info.filename for info in read_directory(path, limits, MODEL)]
    inner = {name.partition("/")[2] for name in names}
    if "archive_format" in inner and any(name.startswith("models/") for name in inner):
        return "pt2"
    if "config.json" in names and "model.safetensors" in names:
        return "bundle"
    if "serialized_exported_program.json" in names or "archive_format" in inner:
        raise ModelVersionUnsupported("the .pt2 was written by a torch that is too old", hint=EXPORT_HINT)
    raise UnsupportedFormat(f"the model is {_archive_name(names, inner)}; read are {_READ}", hint=EXPORT_HINT)


def _is_onnx(head: bytes) -> bool:
    """ONNX has no mark of its own: it begins with its IR version, a small number, and another field of a ModelProto."""
    return len(head) > 2 and head[0] == 0x08 and head[1] < 0x40 and head[2] in _ONNX_SECOND_KEYS


def _name_of(head: bytes) -> str:
    if not head:
        return "an empty file"
    if head[:1] == b"\x80":
        return "a pickle"
    if head[8:9] == b"{":
        return "a safetensors file, which holds weights and no network"
    return "of no format that is known"


def _archive_name(names: list[str], inner: set[str]) -> str:
    if any(name.startswith("code/") for name in inner):
        return "TorchScript"
    if "data.pkl" in inner:
        return "a pickle that torch.save has written"
    if names and all(name.endswith(".npy") for name in names):
        return "an .npz of arrays"
    return "an archive of no kind that is known"
