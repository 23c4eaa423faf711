"""What can be said of a model without running it, and what can be refused without torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from sterna.errors import InvalidSpec, NonFiniteWeights, NothingToTernarise
from sterna.graph import FLOATING, Graph, Input, Layer, Network, find_layers
from sterna.graph.check import quoted
from sterna.graph.layers import is_excluded
from sterna.intake.data import read_data
from sterna.intake.finite import is_finite
from sterna.intake.formats import Format, sniff_format
from sterna.intake.limits import DEFAULT_LIMITS, Limits
from sterna.intake.model import read_model
from sterna.intake.pt2 import Pt2


@dataclass(frozen=True, slots=True)
class ModelInspection:
    """What is known of a model.

    Attributes:
        format: of the file.
        parameters: elements of all parameters.
        ternarisable_weights: elements of all layers that can be made ternary.
        inputs: of the network.
        layers: every tensor that is the weight of a layer.
    """

    format: Format
    parameters: int
    ternarisable_weights: int
    inputs: tuple[Input, ...]
    layers: tuple[Layer, ...]


def inspect_model(
    path: str | os.PathLike[str], exclude: Sequence[str] = (), limits: Limits = DEFAULT_LIMITS
) -> ModelInspection:
    """Inspect a model from its headers alone; no tensor is read.

    Args:
        path: the file.
        exclude: globs of tensors and modules that are to stay as they are.
        limits: what the file may not exceed.

    Raises:
        UnsupportedFormat, ModelVersionUnsupported, ModelUnsafe, ModelCorrupt, ModelTooLarge, OperatorUnsupported.
    """
    return _inspection(sniff_format(path, limits), Pt2(path, limits).network.graph, exclude)


def preflight(
    model_path: str | os.PathLike[str],
    data_path: str | os.PathLike[str] | None,
    exclude: Sequence[str] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> ModelInspection:
    """Refuse what can be refused without running the model; reads every byte of both files once.

    Args:
        model_path: the model.
        data_path: its data, None where there is none.
        exclude: globs of tensors and modules that are to stay as they are.
        limits: what the files may not exceed.

    Raises:
        InvalidSpec: a glob of `exclude` fits no layer.
        NothingToTernarise: no weight is left that can be made ternary.
        NonFiniteWeights: a tensor holds NaN or infinity.
        InputError: everything that `read_model` and `read_data` raise.
    """
    network = read_model(model_path, limits)
    inspection = _inspection(sniff_format(model_path, limits), network.graph, exclude)
    _check_exclude(inspection, exclude)
    if inspection.ternarisable_weights == 0:
        raise NothingToTernarise(
            f"no weight can be made ternary: {_reasons(inspection.layers)}",
            hint="Give a network with linear or convolution layers, and leave at least one of them out of `exclude`.",
        )
    _check_weights(network)
    if data_path is not None:
        read_data(data_path, network.graph, limits)
    return inspection


def _inspection(format_: Format, graph: Graph, exclude: Sequence[str]) -> ModelInspection:
    layers = find_layers(graph, exclude)
    return ModelInspection(
        format=format_,
        parameters=sum(prod(info.shape) for info in graph.tensors.values() if info.kind == "parameter"),
        ternarisable_weights=sum(layer.weights for layer in layers if layer.ternarisable),
        inputs=graph.inputs,
        layers=layers,
    )


def _check_exclude(inspection: ModelInspection, exclude: Sequence[str]) -> None:
    for glob in exclude:
        if not any(is_excluded(layer.name, (glob,)) for layer in inspection.layers):
            raise InvalidSpec(
                f"exclude has {quoted(glob)}, which fits no layer of the network",
                hint=f"The layers are {', '.join(layer.name for layer in inspection.layers[:20])}.",
            )


def _reasons(layers: Sequence[Layer]) -> str:
    if not layers:
        return "it has no layer with a weight"
    return "; ".join(f"{layer.name} is {layer.why_not}" for layer in layers[:5])


def _check_weights(network: Network) -> None:
    for name, info in network.graph.tensors.items():
        # A constant may hold infinity on purpose, as masks do; what is trained or measured may not.
        if info.kind != "constant" and info.dtype in FLOATING and not is_finite(network.tensors[name], info.dtype):
            raise NonFiniteWeights(
                f"{quoted(name)} holds NaN or infinity", hint="Train the network again, or load a sound checkpoint."
            )
