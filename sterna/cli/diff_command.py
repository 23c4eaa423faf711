"""`sterna diff`: what of two artifacts' networks is the same. Needs numpy alone."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict

import typer
from rich.text import Text

from sterna.artifact import Artifact
from sterna.artifact.compare import Comparison, TensorDifference, compare_artifacts
from sterna.cli.arguments import ArtifactFile, AsJson
from sterna.cli.output import new_table, print_json, stdout_console

DIFFERENT = 1


def diff_command(a: ArtifactFile, b: ArtifactFile, as_json: AsJson = False) -> None:
    """Compare the networks of two artifacts, tensor by tensor; ends with 1 when they differ."""
    with ExitStack() as files:
        compared = compare_artifacts(*(files.enter_context(Artifact.open(path)) for path in (a, b)))
    if as_json:
        print_json({"same_network": compared.same_network} | asdict(compared))
    else:
        _print(compared)
    if not compared.same_network:
        raise typer.Exit(DIFFERENT)


def _print(compared: Comparison) -> None:
    console = stdout_console()
    changed = [tensor for tensor in compared.tensors if tensor.state != "same"]
    if changed:
        columns = ("tensor", "", "codes changed", "zeros in a", "zeros in b", "largest difference")
        table = new_table(columns, left=("tensor", ""))
        for tensor in changed:
            table.add_row(*_row(tensor))
        console.print(table)
    if not compared.same_graph:
        console.print("the graphs differ: operators, inputs or outputs are not the same")
    for name, (one, other) in compared.report.items():
        console.print(Text(f"report: {name}: {one!r} in a, {other!r} in b"))
    same = len(compared.tensors) - len(changed)
    verdict = "the same network" if compared.same_network else "different networks"
    console.print(f"{verdict}: {same} of {len(compared.tensors)} tensors are the same")


def _row(tensor: TensorDifference) -> tuple[Text | str, ...]:
    shares = ("" if share is None else f"{share:.4%}" for share in tensor.sparsity)
    changed = "" if tensor.codes_changed is None else f"{tensor.codes_changed:,}"
    return (
        Text(tensor.name),
        tensor.state,
        changed,
        *shares,
        "" if tensor.largest is None else f"{tensor.largest:.3g}",
    )
