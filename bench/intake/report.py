"""The page that the bench writes."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence

import onnxruntime
import torch

from bench.artifact.report import table
from bench.intake.measure import BUDGET_S, SPARSITY, Row

_READ = ("network", "bytes", "inspected in", "parameters", "layers that can be ternary", "of", "weights in them",
         "greatest difference", "at sizes")  # fmt: skip
_COMPRESSED = ("network", "steps", "seconds", "weights", "zeros in the file", "model ÷ artifact", "metric",
               "of the original", "ternary", "agreement", "same class")  # fmt: skip


def page(rows: Sequence[Row]) -> str:
    """The whole page, in Markdown."""
    parts = [
        "# Published networks, read and compressed",
        f"`make bench-intake` writes this page. {os.cpu_count()} cores {platform.machine()}, load"
        f" {os.getloadavg()[1]:.1f} while it ran; torch {torch.__version__}, ONNX Runtime {onnxruntime.__version__}."
        " The networks and where they come from are in `bench/intake/networks.py`; nothing is unpickled.",
        "## Read and compared",
        "The rebuilt network beside ONNX Runtime (for the bundle: transformers) on two sizes of the first axis: the"
        " greatest difference of an output, relative to the greatest output.",
        table(_READ, [_read(row) for row in rows if row.inspection is not None]),
        "## Refused",
        table(("network", "file", "code", "why"), [_refused(row) for row in rows if row.refusal is not None]),
        f"## Compressed, {SPARSITY:.0%} zeros",
        f"The way of `sterna compress`, at most {BUDGET_S} seconds for each: long enough to go the whole way, not to be"
        " as good as it gets (docs/bench-method.md). Zeros are counted in the packed file. Agreement is that of the"
        " network that `sterna.load` gives with the original, on samples that were not trained on:"
        " 1 − Σ(y − ŷ)² / Σ(y − ȳ)².",
        table(_COMPRESSED, [_compressed(row) for row in rows if row.compressed is not None]),
        *_only_read(rows),
    ]
    return "\n\n".join(parts) + "\n"


def _read(row: Row) -> tuple[str, ...]:
    assert row.inspection is not None
    layers = row.inspection.layers
    return (
        row.network.name,
        f"{row.network.path.stat().st_size:,}",
        f"{row.inspect_ms:.0f} ms",
        f"{row.inspection.parameters:,}",
        str(sum(layer.ternarisable for layer in layers)),
        str(len(layers)),
        f"{row.inspection.ternarisable_weights:,}",
        ", ".join(f"{value:.1e}" for value in row.difference) or "not run",
        ", ".join(map(str, row.network.sizes)),
    )


def _refused(row: Row) -> tuple[str, ...]:
    assert row.refusal is not None
    code, detail = row.refusal
    return (row.network.name, row.network.members[0].rpartition("/")[2], f"`{code}`", detail)


def _compressed(row: Row) -> tuple[str, ...]:
    assert row.compressed is not None
    done = row.compressed
    name, before, after = done.metric
    return (
        row.network.name,
        str(done.steps),
        f"{done.seconds:.0f}",
        f"{done.weights:,}",
        f"{done.zeros:,} ({done.zeros / done.weights:.4%})",
        f"{done.ratio:.1f}",
        name,
        f"{before:.4g}",
        f"{after:.4g}",
        f"{done.agreement:.4f}",
        "" if done.same_class is None else f"{done.same_class:.1%}",
    )


def _only_read(rows: Sequence[Row]) -> list[str]:
    named = [f"{row.network.name} ({row.network.why_not})" for row in rows if row.network.why_not]
    return [f"Not compressed: {'; '.join(named)}."] if named else []
