"""`sterna run`: load an artifact and run it on arrays. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from sterna.artifact import Artifact
from sterna.cli.arguments import ArtifactFile, AsJson
from sterna.cli.output import print_json, shape_text
from sterna.errors import DataCorrupt, DataMismatch, ExtraMissing, InvalidSpec
from sterna.graph import DTYPES, FLOATING, Input

MOST_PRINTED = 1000
_HINT = "Write each input with numpy.save(path, array)."

Arrays = dict[str, NDArray[Any]]


def run_command(
    file: ArtifactFile,
    given: Annotated[
        list[str],
        typer.Option(
            "--input", "-i", metavar="[NAME=]X.npy", help="An input of the network. Repeatable.", show_default=False
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT.npz", dir_okay=False, help="Where the outputs go, as an .npz."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the network of an artifact on arrays. Needs torch."""
    with Artifact.open(file) as artifact:
        inputs, names = artifact.graph.inputs, [reference.name for reference in artifact.graph.outputs]
    arrays = _read_inputs(given, inputs)
    outputs = dict(zip(_distinct(names), _run(file, [arrays[item.name] for item in inputs]), strict=True))
    if output is not None:
        with output.open("wb") as stream:
            np.savez(stream, **outputs)  # type: ignore[arg-type]  # numpy's stub takes no mapping of arrays
    if as_json:
        print_json({"outputs": [_described(name, array) for name, array in outputs.items()]})
        return
    for name, array in outputs.items():
        typer.echo(f"{name} {array.dtype} {shape_text(array.shape)}")
        typer.echo(np.array2string(array, threshold=MOST_PRINTED, precision=5))


def _run(file: Path, arrays: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
    try:
        from sterna.module.run import run_artifact  # noqa: PLC0415  loads torch: only for those who run
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ExtraMissing("running needs torch, not installed here", hint="pip install 'sterna[train]'") from None
    return run_artifact(file, arrays)


def _read_inputs(given: Sequence[str], inputs: Sequence[Input]) -> Arrays:
    """The arrays by the names of the inputs; a path without a name is for the only input.

    Raises:
        InvalidSpec: names are missing, unknown or given twice.
        DataCorrupt, DataMismatch: an array cannot be read, or does not fit.
    """
    wanted = {item.name: item for item in inputs}
    arrays: Arrays = {}
    for text in given:
        name, separator, path = text.partition("=")
        if not separator or name not in wanted:
            if len(inputs) != 1:
                raise InvalidSpec(f"--input {text!r} names none of the inputs {', '.join(wanted)}", hint="NAME=X.npy")
            name, path = inputs[0].name, text
        if name in arrays:
            raise InvalidSpec(f"the input {name!r} is given twice")
        arrays[name] = _fitting(_read_array(Path(path)), wanted[name])
    missing = wanted.keys() - arrays.keys()
    if missing:
        raise InvalidSpec(f"inputs are missing: {', '.join(sorted(missing))}", hint="--input NAME=X.npy for each.")
    return arrays


def _read_array(path: Path) -> NDArray[Any]:
    try:
        array: object = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataCorrupt(f"{path} is no .npy array: {error}", hint=_HINT) from None
    if not isinstance(array, np.ndarray):
        raise DataCorrupt(f"{path} holds several arrays, one is allowed", hint=_HINT)
    return array


def _fitting(array: NDArray[Any], item: Input) -> NDArray[Any]:
    fits = len(array.shape) == len(item.shape) and all(
        size in {None, found} for size, found in zip(item.shape, array.shape, strict=True)
    )
    if not fits or (array.dtype.kind == "f") != (item.dtype in FLOATING):
        raise DataMismatch(
            f"the input {item.name!r} is {item.dtype} {shape_text(item.shape)}, the array {array.dtype}"
            f" {shape_text(array.shape)}"
        )
    return array.astype(np.float32 if item.dtype == "bfloat16" else DTYPES[item.dtype])


def _distinct(names: Sequence[str]) -> list[str]:
    return [name if names.index(name) == place else f"{name}_{place}" for place, name in enumerate(names)]


def _described(name: str, array: NDArray[Any]) -> dict[str, Any]:
    """Name, type, shape, and the values where they are few."""
    told: dict[str, Any] = {"name": name, "dtype": str(array.dtype), "shape": list(array.shape)}
    return told | ({"values": array.tolist()} if array.size <= MOST_PRINTED else {})
