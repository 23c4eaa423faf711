"""The page that the census writes."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import onnxruntime
import torch
import transformers

from bench.architectures.compression import SPARSITY, Compressed
from bench.architectures.examine import ATOL, RTOL, Row
from bench.architectures.ways import OTHER_SIZES, WAYS
from bench.artifact.report import table

_VERDICTS = ("fine", "refused", "differs", "does not run", "not exported", "stopped")
_SHOWN_NAMES = 6


def page(rows: Sequence[Row], compressed: Sequence[Compressed]) -> str:
    """The whole page, in Markdown."""
    built = [row for row in rows if row.way]
    unbuilt = [row for row in rows if not row.way]
    networks = len({row.network for row in built})
    parts = [
        "# Which architectures are read",
        f"`make bench-architectures` writes this page: {networks} of the types of model that transformers"
        f" {transformers.__version__} has, made small, with random weights, each in four ways by stock torch"
        f" {torch.__version__}; ONNX Runtime {onnxruntime.__version__}. Nothing is downloaded. How a type is"
        " made is in `bench/architectures/small.py` and `pretrained.py` beside it.",
        "A file is *fine* where it is read and the rebuilt network gives the outputs of the original in evaluation"
        f" (relative {RTOL:g}, absolute {ATOL:g} of the greatest value; a dynamic batch at"
        f" {' and '.join(map(str, OTHER_SIZES))}), and, of a `.pt2`, the gradients of every parameter in training."
        " Where it differs or does not run, the file's own runtime (`torch.export.load`, ONNX Runtime) tells whose it"
        " is: *the export's* where that runtime does the same, else *ours*.",
        "## In short",
        table(("way", *_VERDICTS, "fine of those exported"), [_counts(way, built) for way in WAYS]),
        "`pt2` has one size of the batch, `pt2-dynamic` any; `onnx` is of the classic exporter, opset 17;"
        " `onnx-dynamo` of the one that goes by way of torch.export.",
        "## What is refused",
        table(("operator or sentence", *WAYS, "networks"), _refusals(built)),
        "## What differs or does not run, and notes",
        table(("network", "way", "verdict", "what"), [_told(row) for row in built if _is_noted(row)]),
        "## What torch does not export",
        "A network is exported as transformers computes it by default. Mixtures of experts are grouped products then,"
        " which neither of the ONNX exporters knows.",
        table(("way", "networks", "why", "such as"), _not_exported(built)),
        *_compression(compressed),
        "## All networks",
        "Layers: how many weights can be ternary.",
        table(("type", "class", "layers", *WAYS), _networks(built)),
        f"## Not built: {len(unbuilt)}",
        "The rules that make a configuration small do not fit these types, or they need a package or an input that is"
        " not given.",
        table(("type", "why"), [(row.network, _cell(row.detail, 100)) for row in unbuilt]),
    ]
    return "\n\n".join(parts) + "\n"


def _counts(way: str, rows: Sequence[Row]) -> tuple[str, ...]:
    found: Counter[str] = Counter(row.verdict for row in rows if row.way == way)
    exported = found.total() - found["not exported"]
    return (way, *(str(found[verdict]) for verdict in _VERDICTS), f"{found['fine'] / max(1, exported):.0%}")


def _refusals(rows: Sequence[Row]) -> Iterable[tuple[str, ...]]:
    """Most frequent first; a network that several operators stand in the way of is counted with each."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.verdict == "refused":
            for cause in causes(row):
                found[cause].append(row)
    for cause, those in sorted(found.items(), key=lambda item: (-len(item[1]), item[0])):
        ways = Counter(row.way for row in those)
        yield (_cell(cause), *(str(ways[way] or "") for way in WAYS), _names(those))


def causes(row: Row) -> list[str]:
    """The operators that a refusal names, or where it names none the whole of it."""
    _, found, listed = (
        row.detail.partition("allow-list: ") if "allow-list: " in row.detail else row.detail.partition("not read: ")
    )
    return re.findall(r"'([^']+)'", listed) if found else [row.detail]


def _is_noted(row: Row) -> bool:
    return row.verdict in {"differs", "does not run", "stopped"} or (row.verdict == "fine" and bool(row.detail))


def _told(row: Row) -> tuple[str, ...]:
    return (row.network, row.way, row.verdict, _cell(row.detail))


def _not_exported(rows: Sequence[Row]) -> Iterable[tuple[str, ...]]:
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row.verdict == "not exported":
            found[row.way, re.sub(r"\d+", "…", row.detail)].append(row)
    for (way, why), those in sorted(found.items(), key=lambda item: (list(WAYS).index(item[0][0]), -len(item[1]))):
        yield (way, str(len(those)), _cell(why, 120), _names(those))


def _compression(rows: Sequence[Compressed]) -> list[str]:
    if not rows:
        return []
    columns = ("type", "weights", "zeros in the file", "off the target", "seconds", "model ÷ artifact", "failure")
    return [
        f"## Compressed, {SPARSITY:.0%} zeros",
        "The way of `sterna compress` on random inputs, with a budget of seconds: whether it is gone to the end, and"
        " whether the zeros that are counted in the packed file are as many as were asked for. Nothing is said of what"
        " the networks are worth then.",
        table(columns, [row.cells() for row in rows]),
    ]


def _networks(rows: Sequence[Row]) -> Iterable[tuple[str, ...]]:
    found: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        found[row.network][row.way] = row
    for network, ways in found.items():
        kind = next((row.kind for row in ways.values() if row.kind), "")
        layers = next((str(row.layers) for row in ways.values() if row.layers is not None), "")
        yield (network, kind, layers, *(ways[way].verdict if way in ways else "" for way in WAYS))


def _names(rows: Sequence[Row]) -> str:
    names = list(dict.fromkeys(row.network for row in rows))
    return ", ".join(names[:_SHOWN_NAMES]) + (
        f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    )


def _cell(text: str, most: int = 200) -> str:
    """On one line, and in no column but its own."""
    line = " ".join(text.split()).replace("|", "\\|")
    return line if len(line) <= most else line[:most] + "…"
