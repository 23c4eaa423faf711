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
from sterna.intake.data import Data, check_data, read_data
from sterna.intake.finite import is_finite
from sterna.intake.formats import Format
from sterna.intake.goal import Goal
from sterna.intake.limits import DEFAULT_LIMITS, Limits
from sterna.intake.model import Model, open_model


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


@dataclass(frozen=True, slots=True)
class Checked:
    """What a job begins with, read once and checked.

    Attributes:
        inspection: of the model.
        network: the model; its tensors are mapped and stay in the file.
        data: None where there is none.
    """

    inspection: ModelInspection
    network: Network
    data: Data | None


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
    format_, model = open_model(path, limits)
    return _inspection(format_, model.network.graph, exclude)


def preflight(
    model_path: str | os.PathLike[str],
    data_path: str | os.PathLike[str] | None,
    exclude: Sequence[str] = (),
    *,
    objective: str = "auto",
    limits: Limits = DEFAULT_LIMITS,
) -> ModelInspection:
    """Refuse what can be refused without running the model; reads every byte of both files once, in little memory.

    Args:
        model_path: the model.
        data_path: its data, None where there is none.
        exclude: globs of tensors and modules that are to stay as they are.
        objective: what the network is going to be trained for; where that needs no target, none is checked.
        limits: what the files may not exceed.

    Raises:
        InvalidSpec: a glob of `exclude` fits no layer, or the objective needs a target and there is none.
        NothingToTernarise: no weight is left that can be made ternary.
        NonFiniteWeights: a tensor holds NaN or infinity.
        InputError: everything that `read_model` and `read_data` raise.
    """
    model, inspection = _read_model(model_path, exclude, limits)
    goal = Goal(objective, model.output_shape or None)
    if data_path is None:
        goal.check_presence(has_target=False)
    else:
        check_data(data_path, model.network.graph, limits, goal=goal)
    return inspection


def read_checked(
    model_path: str | os.PathLike[str],
    data_path: str | os.PathLike[str] | None,
    exclude: Sequence[str] = (),
    *,
    objective: str = "auto",
    limits: Limits = DEFAULT_LIMITS,
) -> Checked:
    """Refuse what `preflight` refuses, and keep what was read for those who go on with it."""
    model, inspection = _read_model(model_path, exclude, limits)
    goal, data = Goal(objective, model.output_shape or None), None
    if data_path is None:
        goal.check_presence(has_target=False)
    else:
        data = read_data(data_path, model.network.graph, limits, goal=goal)
    return Checked(inspection, model.network, data)


def _read_model(path: str | os.PathLike[str], exclude: Sequence[str], limits: Limits) -> tuple[Model, ModelInspection]:
    format_, model = open_model(path, limits)
    model.check_bytes()
    inspection = _inspection(format_, model.network.graph, exclude)
    _check_exclude(inspection, exclude)
    if inspection.ternarisable_weights == 0:
        raise NothingToTernarise(
            f"no weight can be made ternary: {_reasons(inspection.layers)}",
            hint="Give a network with linear or convolution layers, and leave at least one of them out of `exclude`.",
        )
    _check_weights(model.network)
    return model, inspection


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
