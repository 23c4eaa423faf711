"""The page that the bench writes."""

from __future__ import annotations

import os
import platform
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime
import torch

from bench.artifact.codecs import CodecRow
from bench.artifact.latency import Latency
from bench.artifact.sizes import FileSize
from bench.artifact.small import NetworkRow, SmallRow

PAYLOAD_BARS = {0.5: 1.02, 0.7: 1.02, 0.8: 1.02, 0.9: 1.02, 0.95: 1.05}
DECODE_BAR = 300
OVERHEAD_BAR = 0.01
OVERHEAD_FROM = 10_000_000
FASTER_BAR = 5.0
_WHY = (
    "What stands in the way of one of them, **the header of safetensors:** one entry of about 90 bytes in "
    "plain JSON for each stored tensor, 121 in ResNet-18. The scales and the normalisation of a layer are tensors "
    "of their own, so that every safetensors reader shows them; a file that packs them into one would need a new "
    "version of the format."
)


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was measured in one run."""

    codecs: Sequence[CodecRow]
    latencies: Sequence[Latency]
    sizes: Sequence[FileSize]
    small: Sequence[SmallRow]
    networks: Sequence[NetworkRow]
    weights: int


def page(report: Report) -> str:
    """The whole page, in Markdown."""
    versions = (
        f"numpy {np.__version__}, zlib {zlib.ZLIB_RUNTIME_VERSION}, torch {torch.__version__}, "
        f"ONNX Runtime {onnxruntime.__version__}"
    )
    parts = [
        "# The artifact, measured",
        f"`make bench-artifact` writes this page. {os.cpu_count()} cores {platform.machine()}, load"
        f" {os.getloadavg()[1]:.1f} while it ran; {versions}.",
        "## The bars",
        table(("bar", "measured", ""), bars(report)),
        _WHY,
        f"## Codecs, {report.weights:,} independent weights",
        "Speeds in M weights per second of processor time, one thread, the best of some repeats. `choose` is what the"
        " writer does: it tries codecs 1 to 4 and keeps the smallest result.",
        codec_table(report.codecs),
        "## Small tensors",
        "Codec 5, `mask-ans`, beside the smallest of the others, on independent weights. *Least* is what it takes to"
        " number all tensors with that many zeros, one bit for each sign included.",
        small_table(report.small),
        "What it saves and costs in whole networks of independent codes at 0.7 zeros, decoded with it and without in"
        " turns: milliseconds of processor time, the median of the rounds. The writer tries it only where a tenth"
        " of the weights are in tensors of at most 16,384.",
        network_table(report.networks),
        "## Files",
        "Trained networks: the whole way of `sterna compress` with the budgets of bench/method. The ratio is to the"
        " `.pt2`; everything in the file counts.",
        size_table(report.sizes),
        "## Latency",
        "One thread, milliseconds of processor time a call: the median of the rounds, in brackets the fastest. The"
        " runtimes take turns within one run. The original in ONNX Runtime is the same graph with float32 weights.",
        latency_table(report.latencies),
    ]
    return "\n\n".join(parts) + "\n"


def bars(report: Report) -> list[tuple[str, ...]]:
    """Each bar of the artifact, and whether this run meets it."""
    rows = []
    for row in report.codecs:
        if row.sparsity in PAYLOAD_BARS:
            bar = PAYLOAD_BARS[row.sparsity]
            name = f"codes ≤ {bar:.2f} × H at {row.sparsity:g} zeros"
            rows.append((name, f"{row.to_entropy:.4f}", _met(row.to_entropy <= bar)))
    slowest = min(row.decode for row in report.codecs)
    rows.append(
        (f"decoding ≥ {DECODE_BAR} M weights/s, one core", f"{slowest:.0f} at least", _met(slowest >= DECODE_BAR))
    )
    trained = [size for size in report.sizes if size.measured]
    if trained:
        most = max(_to_entropy(size) for size in trained)
        rows.append(("codes ≤ 1.00 × H of the whole, trained networks", f"{most:.4f} at most", _met(most <= 1)))
    large = [size for size in report.sizes if size.listing.weights > OVERHEAD_FROM]
    for what, share in (
        ("manifest and graph", max(size.metadata_bytes / size.listing.file_bytes for size in large)),
        (
            "the same with the header of safetensors",
            max(size.listing.overhead_bytes / size.listing.file_bytes for size in large),
        ),
    ):
        rows.append((f"{what} ≤ 1 % above 10 M weights", f"{share:.2%} at most", _met(share <= OVERHEAD_BAR)))
    [first] = [row for row in report.latencies if row.network == "linear 4096²" and row.batch == 1]
    gain = first.faster("onnxruntime")
    rows.append(
        (
            f"INT2 linear 4096² at batch 1 ≥ {FASTER_BAR:g} × float32 in ONNX Runtime",
            f"{gain:.1f} ×",
            _met(gain >= FASTER_BAR),
        )
    )
    return rows


def codec_table(rows: Iterable[CodecRow]) -> str:
    """Bits and speeds by sparsity."""
    columns = ("zeros", "H", "chosen", "bits per weight", "÷ H", "choose", "encode", "decode")
    return table(columns, [_codec_row(row) for row in rows])


def _codec_row(row: CodecRow) -> tuple[str, ...]:
    speeds = (row.choose, row.encode, row.decode)
    bits = (f"{row.bits:.4f}", f"{row.to_entropy:.4f}")
    return (f"{row.sparsity:g}", f"{row.entropy:.4f}", row.codec, *bits, *(f"{speed:.0f}" for speed in speeds))


def size_table(sizes: Iterable[FileSize]) -> str:
    """Bits, bytes and metric of each file."""
    columns = ("network", "weights", "zeros", "bits per weight", "÷ H", "bytes", "ratio",
               "manifest and graph", "header", "held-out metric by runtime")  # fmt: skip
    return table(columns, [_size_row(size) for size in sizes])


def small_table(rows: Iterable[SmallRow]) -> str:
    """Bytes and speeds of small tensors without codec 5 and with it."""
    columns = ("weights", "zeros", "least, bytes", "codecs 1 to 4, bytes", "codec 5, bytes",
               "codecs 1 to 4, decode ms", "codec 5, decode ms", "M weights/s")  # fmt: skip
    return table(
        columns,
        [
            (
                f"{row.weights:,}",
                f"{row.sparsity:g}",
                f"{row.least:,.1f}",
                *(f"{size:,}" for size in row.size_bytes),
                *(f"{spent:.3f}" for spent in row.decode_ms),
                f"{row.weights / row.decode_ms[1] / 1e3:.0f}",
            )
            for row in rows
        ],
    )


def network_table(rows: Iterable[NetworkRow]) -> str:
    """Bytes and speeds of whole networks without codec 5 and with it wherever it is allowed."""
    columns = ("network", "ternary tensors", "weights", "in small tensors", "bytes without", "with", "saved",
               "decode ms without", "with", "the writer tries it")  # fmt: skip
    return table(
        columns,
        [
            (
                row.network,
                str(row.tensors),
                f"{row.weights:,}",
                f"{row.small:.1%}",
                *(f"{size:,}" for size in row.size_bytes),
                f"{1 - row.size_bytes[1] / row.size_bytes[0]:.2%}",
                *(f"{spent:.2f}" for spent in row.decode_ms),
                "yes" if row.tried else "no",
            )
            for row in rows
        ],
    )


def latency_table(rows: Iterable[Latency]) -> str:
    """Each runtime by network and batch."""
    columns = ("network", "batch", "original, torch", "original, ONNX Runtime", "export, ONNX Runtime",
               "× torch", "× ONNX Runtime", "relative error of the output")  # fmt: skip
    return table(
        columns,
        [
            (
                row.network,
                str(row.batch),
                *(f"{row.ms[name][0]:.3f} ({row.ms[name][1]:.3f})" for name in ("torch", "onnxruntime", "export")),
                *(f"{row.faster(name):.1f}" for name in ("torch", "onnxruntime")),
                f"{row.error:.2%}",
            )
            for row in rows
        ],
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _size_row(size: FileSize) -> tuple[str, ...]:
    listing = size.listing
    return (
        size.network,
        f"{listing.weights:,}",
        f"{listing.sparsity:.4f}",
        f"{listing.bits_per_weight:.3f}",
        f"{_to_entropy(size):.3f}",
        f"{listing.file_bytes:,}",
        f"{size.model_bytes / listing.file_bytes:.1f}",
        f"{size.metadata_bytes:,} ({size.metadata_bytes / listing.file_bytes:.1%})",
        f"{size.header_bytes:,} ({size.header_bytes / listing.file_bytes:.1%})",
        ", ".join(f"{runtime} {value:.4f}" for runtime, value in size.measured.items()),
    )


def _to_entropy(size: FileSize) -> float:
    return size.listing.bits_per_weight / size.listing.entropy_bits_per_weight


def _met(met: bool) -> str:
    return "met" if met else "MISSED"
