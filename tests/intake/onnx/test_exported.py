"""Networks that torch exports to ONNX, by both of its exporters, against onnxruntime on two batch sizes."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from sterna.intake import inspect_model, preflight, read_model
from sterna.module import build_module


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, stride=2, padding=1)
        self.inner = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8), nn.Hardswish())
        self.head = nn.Linear(8, 3)

    def forward(self, image):
        wide = torch.relu(self.first(image))
        return self.head((wide + self.inner(wide)).mean((2, 3)))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 16)
        self.position = nn.Parameter(torch.randn(1, 7, 16))
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, activation="gelu")
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 3)

    def forward(self, tokens):
        return self.head(self.layers(self.embedding(tokens) + self.position).mean(1))


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.layers = kind(6, 8, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(16, 3)

    def forward(self, sequence):
        return self.head(self.layers(sequence)[0][:, -1])


class Routed(nn.Module):
    """Two of four experts for each step, some of which are set: TopK, OneHot, ScatterElements, ScatterND, Mod."""

    def __init__(self):
        super().__init__()
        self.router = nn.Linear(6, 4)
        self.experts = nn.ModuleList(nn.Linear(6, 8) for _ in range(4))
        self.head = nn.Linear(8, 3)

    def forward(self, sequence):
        scores = self.router(sequence).softmax(-1)
        shares, chosen = scores.topk(2, -1)
        gates = torch.zeros_like(scores).scatter(-1, chosen, shares)
        marks = nn.functional.one_hot(chosen, 4).sum(-2)
        every = torch.stack([expert(sequence) for expert in self.experts], -2)
        mixed = (every * (gates * marks).unsqueeze(-1)).sum(-2)
        mixed[:, 1:3] = mixed[:, :1] * (chosen[:, 1:3, :1] % 2)
        return self.head(mixed.mean(1))


def image(batch):
    return np.random.default_rng(batch).standard_normal((batch, 1, 16, 16)).astype(np.float32)


def sequence(batch):
    return np.random.default_rng(batch).standard_normal((batch, 5, 6)).astype(np.float32)


def tokens(batch):
    return np.random.default_rng(batch).integers(0, 20, (batch, 7))


NETWORKS = {
    "residual": (Residual, image, {"first.weight": "conv", "head.weight": "linear"}),
    "encoder": (
        Encoder,
        tokens,
        {"embedding.weight": "embedding", "layers.layers.0.self_attn.out_proj.weight": "linear"},
    ),
    "lstm": (lambda: Recurrent(nn.LSTM), sequence, {"head.weight": "linear"}),
    "routed": (Routed, sequence, {"head.weight": "linear"}),
    "gru": (lambda: Recurrent(nn.GRU), sequence, {"head.weight": "linear"}),
}


@pytest.mark.parametrize(
    ("name", "dynamo"),
    [
        ("residual", True),
        ("encoder", True),
        ("lstm", True),
        ("residual", False),
        ("lstm", False),
        ("gru", False),
        ("routed", False),
    ],
)
def test_an_exported_network_is_the_same_network(tmp_path, same_as_oracle, name, dynamo):
    make, samples, layers = NETWORKS[name]
    path = tmp_path / "model.onnx"
    torch.manual_seed(0)
    export(make().eval(), torch.from_numpy(samples(2)), path, dynamo=dynamo)
    network = same_as_oracle(path, {"x": samples(1)}, {"x": samples(5)})
    assert network.graph.inputs[0].name == "x"
    found = {layer.name: layer for layer in inspect_model(path).layers}
    for layer, kind in layers.items():
        assert found[layer].kind == kind
        assert found[layer].ternarisable
    assert all(layer.ternarisable for layer in found.values())
    assert preflight(path, None) == inspect_model(path)


def test_every_parameter_is_part_of_what_is_trained(tmp_path):
    path = tmp_path / "model.onnx"
    export(Recurrent(nn.GRU).eval(), torch.from_numpy(sequence(2)), path, dynamo=False)
    module = build_module(read_model(path)).train()
    module(torch.from_numpy(sequence(4))).square().sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())
    assert module.get_parameter("head.weight").grad.abs().sum() > 0


def export(model, example, path, *, dynamo):
    """By the exporter that traces FX graphs, or by the older one that traces TorchScript."""
    axes = {"dynamic_shapes": ({0: torch.export.Dim("batch")},), "external_data": False, "verbose": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the exporters warn of is theirs
        torch.onnx.export(
            model, (example,), path, input_names=["x"], opset_version=18, dynamo=dynamo,
            **(axes if dynamo else {"dynamic_axes": {"x": {0: "batch"}}}),
        )  # fmt: skip
