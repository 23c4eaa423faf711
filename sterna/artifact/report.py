"""Another report for an artifact that is already written: what can be told only once the packed file was measured."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sterna.artifact.container import OutgoingTensor, StoredTensor, read_header, write_container
from sterna.artifact.manifest import manifest_from_text, manifest_to_text
from sterna.artifact.names import MANIFEST, MANIFEST_SHA256


def replace_report(path: str | PathLike[str], report: Mapping[str, Any]) -> None:
    """Give the artifact at `path` this report; its tensors and all else stay byte for byte.

    The same as writing it with this report from the start. The file is replaced whole or not at all.

    Raises:
        ArtifactCorrupt, ArtifactVersionUnsupported: no artifact that can be read.
        TypeError, ValueError: the report is not JSON.
    """
    data = memoryview(Path(path).read_bytes())
    header = read_header(data)
    text = manifest_to_text(replace(manifest_from_text(header.metadata[MANIFEST]), report=report))
    metadata = {**header.metadata, MANIFEST: text, MANIFEST_SHA256: hashlib.sha256(text.encode("ascii")).hexdigest()}
    body = data[header.data_start :]
    in_order = sorted(header.tensors.items(), key=lambda item: (item[1].begin, item[1].end))
    write_container(Path(path), [_outgoing(name, stored, body) for name, stored in in_order], metadata)


def _outgoing(name: str, stored: StoredTensor, body: memoryview) -> OutgoingTensor:
    return OutgoingTensor(name, stored.element_type, stored.shape, partial(_array, stored, body))


def _array(stored: StoredTensor, body: memoryview) -> NDArray[Any]:
    return np.frombuffer(body[stored.begin : stored.end], stored.element_type.numpy).reshape(stored.shape)
