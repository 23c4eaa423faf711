"""An artifact → a GGUF file of its tensors: ternary rows in TQ2_0 or TQ1_0, what has other rows in F16 or F32.

Both types have blocks of 256 weights along a row with one float16 scale each; 2.0625 and 1.6875 bits a weight. A
ternary weight fits where its rows are multiples of 256 and a row has one scale, which float16 can hold. GGUF has no
graph that a runtime would run: what reads it must know the network. The graph goes along as JSON text for those who do.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from sterna.artifact import Artifact
from sterna.errors import ExportUnsupported
from sterna.export.outgoing import written_whole
from sterna.export.packages import require
from sterna.graph import graph_to_json

if TYPE_CHECKING:
    from gguf import GGUFWriter

BLOCK: Final = 256
MOST_AXES: Final = 4
MOST_NAME_BYTES: Final = 63
"""ggml's limits."""
SCALE_ERROR: Final = 1e-3
"""How far a scale may move when it becomes float16; beyond that the tensor is F32."""

TernaryType = Literal["TQ2_0", "TQ1_0"]


def export_gguf(path: Path, out_path: Path, *, ternary_type: TernaryType = "TQ2_0") -> None:
    """Write the tensors of the artifact at `path` as GGUF to `out_path`; the same artifact gives the same bytes.

    Raises:
        ExtraMissing: gguf is not installed.
        ExportUnsupported: a name or a shape that ggml does not take.
        ArtifactCorrupt, ArtifactDigestMismatch, ArtifactVersionUnsupported, UnsupportedFormat: as `Artifact.open`.
    """
    require("gguf")
    from gguf import GGUFWriter  # noqa: PLC0415  only for those who write it

    with Artifact.open(path) as artifact, written_whole(out_path) as partial:
        _check_names(artifact)
        writer = GGUFWriter(partial, "sterna")
        try:
            _describe(writer, artifact)
            for name, info in artifact.graph.tensors.items():
                if name in artifact.manifest.ternary:
                    _add_ternary(writer, artifact, name, ternary_type)
                else:
                    _add_dense(writer, name, artifact.dense(name), info.dtype)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
        finally:
            writer.close()


def _check_names(artifact: Artifact) -> None:
    for name, info in artifact.graph.tensors.items():
        if len(name.encode()) > MOST_NAME_BYTES:
            raise ExportUnsupported(
                f"the tensor {name!r} has a name of {len(name.encode())} bytes, GGUF takes {MOST_NAME_BYTES}",
                hint="Export to safetensors instead, or give its modules shorter names.",
            )
        if 0 in info.shape:
            raise ExportUnsupported(f"the tensor {name!r} is empty, which GGUF does not take")


def _describe(writer: GGUFWriter, artifact: Artifact) -> None:
    writer.add_string("sterna.graph", json.dumps(graph_to_json(artifact.graph), sort_keys=True, separators=(",", ":")))
    writer.add_string("sterna.data_sha256", artifact.manifest.data_sha256)
    writer.add_float64("sterna.sparsity", artifact.sparsity)


def _add_ternary(writer: GGUFWriter, artifact: Artifact, name: str, ternary_type: TernaryType) -> None:
    from gguf import GGMLQuantizationType, quants  # noqa: PLC0415

    dense = artifact.dense(name)
    scale = artifact.scale(name)
    if not _half_holds(scale):
        writer.add_tensor(name, _flat(dense))
    elif dense.ndim >= 1 and dense.shape[-1] % BLOCK == 0 and scale.shape[-1] == 1:
        kind = GGMLQuantizationType[ternary_type]
        writer.add_tensor(name, quants.quantize(_flat(dense), kind), raw_dtype=kind)
    else:
        writer.add_tensor(name, _flat(dense).astype(np.float16))


def _add_dense(writer: GGUFWriter, name: str, array: NDArray[Any], dtype: str) -> None:
    from gguf import GGMLQuantizationType  # noqa: PLC0415

    flat = _flat(array)
    if dtype == "bfloat16":
        writer.add_tensor(name, flat.view(np.uint8), raw_dtype=GGMLQuantizationType.BF16)
    elif dtype in {"bool", "uint8"}:  # GGUF has no such types
        writer.add_tensor(name, flat.astype(np.int16))
    else:
        writer.add_tensor(name, flat)


def _half_holds(scale: NDArray[np.float32]) -> bool:
    """Whether float16 holds every scale to within `SCALE_ERROR` of itself."""
    with np.errstate(over="ignore"):
        half = scale.astype(np.float16).astype(np.float32)
    return bool((np.abs(half - scale) <= SCALE_ERROR * np.abs(scale)).all())


def _flat(array: NDArray[Any]) -> NDArray[Any]:
    """The array with one to four axes: the first ones joined where there are more."""
    if array.ndim == 0:
        array = array.reshape(1)
    if array.ndim > MOST_AXES:
        array = array.reshape(-1, *array.shape[-MOST_AXES + 1 :])
    return np.ascontiguousarray(array)
