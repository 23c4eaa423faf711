"""Real architectures, exported by stock torch, read, rebuilt, made ternary and loaded: the originals are the oracle."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sterna
from sterna.artifact import ArtifactContents, TernaryTensor, write_artifact
from sterna.graph import Layer, Network, find_layers
from sterna.intake import read_model
from sterna.method.layers import find_ternary_layers
from sterna.module import build_module, tensors_of
from tests.module.architectures import ARCHITECTURES, Architecture

pytestmark = [  # what torch says of its own exporting and running, none of which is about us
    pytest.mark.filterwarnings("ignore:The tensor attributes self:UserWarning"),
    pytest.mark.filterwarnings("ignore:No complete tensor found:UserWarning"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning"),
]
SIZES = ((1, 6), (3, 8), (5, 13))  # batch and length; the second is what was exported


@dataclass(frozen=True)
class Case:
    """An architecture, one original of it, and what was read from its file."""

    name: str
    architecture: Architecture
    original: nn.Module
    network: Network


@pytest.fixture(scope="module", params=ARCHITECTURES)
def case(request, tmp_path_factory) -> Case:
    """Every second one is exported training, every other evaluating: both must serve for both."""
    torch.manual_seed(3)
    architecture = ARCHITECTURES[request.param]
    original = settle(architecture.make(), architecture)
    original.train(list(ARCHITECTURES).index(request.param) % 2 == 0)
    path = architecture.export(original, tmp_path_factory.mktemp("models") / "model.pt2")
    return Case(request.param, architecture, original, read_model(path))


def settle(model: nn.Module, architecture: Architecture) -> nn.Module:
    """Take out dropout, which no two runs have in common; give running statistics other values than they begin with."""
    for part in model.modules():
        for name in ("p", "dropout"):
            if isinstance(getattr(part, name, None), float):
                setattr(part, name, 0.0)
    with torch.no_grad():
        model.train()(*architecture.inputs(4, 8))
    return model


def outputs_of(model: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    found = model(*inputs)
    if isinstance(found, dict):
        found = tuple(found.values())
    return found if isinstance(found, tuple) else (found,)


def assert_same(found: tuple[Tensor, ...], wanted: tuple[Tensor, ...], **tolerance: float) -> None:
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, **(tolerance or {"rtol": 1e-5, "atol": 1e-6}))


def test_it_computes_what_the_original_does(case):
    rebuilt = build_module(case.network).eval()
    for batch, length in SIZES:
        inputs = case.architecture.inputs(batch, length)
        with torch.no_grad():
            assert_same(outputs_of(rebuilt, inputs), outputs_of(case.original.eval(), inputs))


def test_it_trains_as_the_original_does(case):
    rebuilt = build_module(case.network).train()
    inputs = case.architecture.inputs(4, 9)
    assert [name for name, _ in rebuilt.named_parameters()] == [name for name, _ in case.original.named_parameters()]
    for model in (rebuilt, case.original.train()):
        model.zero_grad()
        torch.manual_seed(5)
        sum(part.square().sum() for part in outputs_of(model, inputs)).backward()
    wanted = dict(case.original.named_parameters())
    compared = 0
    for name, parameter in rebuilt.named_parameters():
        assert (parameter.grad is None) == (wanted[name].grad is None), name
        if parameter.grad is not None:
            assert_same((parameter.grad,), (wanted[name].grad,), rtol=1e-4, atol=1e-5)
            compared += 1
    assert compared >= 2


# What the two lists may differ in: the graph sees how a tensor is used, the modules only what they are.
ONLY_IN_THE_GRAPH = {
    "einsum": {"q", "k", "v", "o"},
    "mixture": {"up", "down"},
}
ONLY_IN_THE_MODULES = {
    "bert": {"kind.weight"},  # looked up by zeros: a constant row
}


def ternarisable(network: Network) -> list[Layer]:
    return [layer for layer in find_layers(network.graph) if layer.ternarisable]


def test_its_layers_are_those_of_its_modules(case):
    found = {layer.name: layer.channel_axis for layer in ternarisable(case.network)}
    wanted = {layer.name: layer.channel_axis for layer in find_ternary_layers(case.original)}
    extra, lacking = found.keys() - wanted.keys(), wanted.keys() - found.keys()
    assert extra == ONLY_IN_THE_GRAPH.get(case.name, set())
    assert lacking == ONLY_IN_THE_MODULES.get(case.name, set())
    shared = {case.network.graph.tensors[name].shape[0] for name in ("wte.weight",) if name in found}
    assert {name: axis for name, axis in found.items() if name in wanted and not (shared and name == "wte.weight")} == {
        name: axis for name, axis in wanted.items() if name in found and not (shared and name == "wte.weight")
    }


def test_it_runs_from_an_artifact(case, tmp_path):
    path, codes = write_ternary(case, tmp_path)
    loaded = sterna.load(path)
    ternary = build_module(case.network).eval()
    with torch.no_grad():
        for name, parameter in ternary.named_parameters():
            if name in codes:
                parameter.copy_(torch.from_numpy(codes[name]))
    assert codes
    for batch, length in SIZES[1:]:
        inputs = case.architecture.inputs(batch, length)
        with torch.no_grad():
            assert_same(outputs_of(loaded, inputs), outputs_of(ternary, inputs))


def write_ternary(case: Case, folder: Path) -> tuple[Path, dict[str, np.ndarray]]:
    """Round every layer to random codes and scales; gives the dense values that they stand for."""
    generator = np.random.default_rng(1)
    ternary: dict[str, TernaryTensor] = {}
    for layer in ternarisable(case.network):
        shape = [1] * len(layer.shape)
        shape[layer.channel_axis] = layer.shape[layer.channel_axis]
        scale = generator.uniform(0.1, 0.4, shape).astype(np.float32)
        ternary[layer.name] = TernaryTensor(generator.integers(-1, 2, layer.shape).astype(np.int8), scale)
    module = build_module(case.network)
    dense = {name: one for name, one in tensors_of(module, case.network.graph).items() if name not in ternary}
    path = folder / "model.sterna"
    write_artifact(path, ArtifactContents(case.network.graph, ternary, dense))
    return path, {name: one.codes * one.scale for name, one in ternary.items()}
