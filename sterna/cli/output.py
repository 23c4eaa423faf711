"""How the command line speaks: results on standard output, the rest on standard error."""

from __future__ import annotations

import json
from collections.abc import Iterable

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api_schemas import Result
from sterna.errors import SternaError

PIPE_WIDTH = 400


def stderr_console() -> Console:
    """For people: progress and errors. Made anew each time, so that it follows what standard error is now."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def stdout_console() -> Console:
    """For results as tables; into a file or a pipe they are as wide as they need to be."""
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


def print_error(error: SternaError) -> None:
    """Print `error[CODE]: what was found`, and a hint where there is one."""
    console = stderr_console()
    console.print(Text.assemble((f"error[{error.code}]:", "bold red"), f" {error.detail}"))
    if error.hint:
        console.print(Text.assemble(("hint:", "bold"), f" {error.hint}"))


def print_json(value: BaseModel | object) -> None:
    """Print one JSON object."""
    if isinstance(value, BaseModel):
        typer.echo(value.model_dump_json(by_alias=True, indent=2))
    else:
        typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def new_table(columns: Iterable[str], *, left: Iterable[str] = ()) -> Table:
    """A plain table; columns are numbers, flush right, except those named in `left`."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    names_left = set(left)
    for column in columns:
        to_the_left = column in names_left
        table.add_column(column, justify="left" if to_the_left else "right", overflow="fold", no_wrap=not to_the_left)
    return table


def print_result(result: Result) -> None:
    """Print what came out, for people."""
    console = stdout_console()
    layers = new_table(("layer", "shape", "weights", "zeros"), left=("layer", "shape"))
    for layer in result.layers:
        layers.add_row(Text(layer.name), shape_text(layer.shape), f"{layer.weights:,}", f"{layer.sparsity:.4%}")
    console.print(layers)
    met = "met" if result.target_met else "MISSED"
    alpha = "" if result.alpha is None else f"   α {result.alpha:.4f}"
    console.print(f"\nsparsity   {result.sparsity:.4%} of {result.target_sparsity:.4%} asked for ({met}){alpha}")
    if result.metric is not None:
        metric = result.metric
        console.print(
            f"{metric.name:<10} {metric.baseline:.4f} before, {metric.ternary:.4f} after (drop {metric.drop:+.4f})"
        )
    if result.agreement is not None:
        console.print(f"agreement  {result.agreement:.4f} with the original")
    entropy = f"entropy at the overall sparsity {result.entropy_bits_per_weight:.3f}"
    console.print(f"bits       {result.bits_per_weight:.3f} a weight ({entropy})")
    console.print(
        f"size       {result.model_bytes:,} bytes before, {result.artifact_bytes:,} after ({result.ratio:.1f}× smaller)"
    )
    for warning in result.warnings:
        console.print(Text.assemble(("warning", "yellow"), f"    {warning}"))


def shape_text(shape: Iterable[int | None]) -> str:
    """`8×3×3`; a size that may change is `?`."""
    return "×".join("?" if size is None else str(size) for size in shape) or "scalar"
