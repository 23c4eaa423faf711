"""The module that is built from a `.pt2` against the module that was exported."""

import copy
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  its usual name

from sterna.errors import ModelUnsafe
from sterna.graph import Graph, Input, Network, Node, TensorInfo, TensorRef, ValueRef
from sterna.module import build_module, node_that_failed, tensors_of
from sterna.module.operators import FUNCTIONS


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.body = nn.Sequential(nn.Conv2d(8, 8, 3, padding="same"), nn.ReLU(inplace=True), nn.BatchNorm2d(8))
        self.act = nn.ReLU6(inplace=True)
        self.head = nn.Linear(8, 5)

    def forward(self, image: Tensor) -> Tensor:
        x = self.act(self.norm(self.stem(image)))
        y = self.body(x)
        y += x
        return self.head(F.adaptive_avg_pool2d(F.relu_(y), 1).flatten(1))


class Depthwise(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(4, 8, 1), nn.Hardswish(), nn.Conv2d(8, 8, 3, groups=8, stride=2), nn.BatchNorm2d(8), nn.SiLU(),
            nn.Conv2d(8, 6, 1, groups=2), nn.Hardsigmoid(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(24, 3),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return F.log_softmax(self.layers(x), dim=-1)


class Upward(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(4, 2, 4, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.up(F.leaky_relu(self.down(x), 0.1))) * x + F.pad(x[:, :, 1:, 1:], (1, 0, 1, 0))


class Normed(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(12, 12) for _ in range(2)])
        self.norms = nn.ModuleList([nn.LayerNorm(12), nn.LayerNorm(12)])
        self.scale = nn.Parameter(torch.full((12,), 0.5))
        self.register_buffer("shift", torch.arange(12.0))
        self.register_buffer("hidden", torch.ones(12), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = x + F.gelu(layer(norm(x))) * self.scale
        return (x + self.shift / 10 - self.hidden) * torch.tensor(0.5)


class Wave(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv1d(2, 8, 5, dilation=2, padding=4)
        self.norm = nn.GroupNorm(4, 8)
        self.b = nn.ConvTranspose1d(8, 4, 3)
        self.out = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = F.max_pool1d(F.elu(self.norm(self.a(x))), 2)
        y = F.softplus(self.b(y)).transpose(1, 2)
        return self.out(y).mean(dim=1)


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 6, padding_idx=0)
        self.out = nn.Linear(12, 20, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        pooled = torch.cat([x.mean(1), x.amax(1)], dim=-1)
        return self.out(torch.tanh(pooled.view(pooled.size(0), -1)))


class TwoByTwo(nn.Module):
    def __init__(self):
        super().__init__()
        self.left = nn.Linear(4, 6)
        self.right = nn.Linear(3, 6)
        self.mix = nn.Parameter(torch.randn(6, 2))

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        x, y = torch.relu(self.left(a)), torch.relu(self.right(b))
        first, second = torch.stack([x, y], 1).reshape(a.shape[0] * 2, 6).chunk(2, dim=1)
        norm = ((first - second) ** 2).sum(-1, keepdim=True).add(1e-3).rsqrt()
        return (x * y) @ self.mix, (norm * first).view(-1, 2, 3).permute(0, 2, 1).contiguous().clamp(-1, 1)


class Volume(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(1, 3, 3)
        self.norm = nn.InstanceNorm3d(3, affine=True, track_running_stats=True)

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.adaptive_max_pool3d(self.norm(self.conv(x)), 2).select(2, 0).unsqueeze(1)  # (batch, 1, 3, 2, 2)
        return pooled.expand(-1, 2, -1, -1, -1).reshape(x.shape[0], -1)


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(12, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 4), nn.Softmax(dim=1)
    )


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout2d(0.3), nn.Conv2d(6, 8, 3),
        nn.BatchNorm2d(8), nn.Hardtanh(inplace=True), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.2),
        nn.Linear(32, 3),
    )  # fmt: skip


@dataclass(frozen=True)
class Case:
    make: Callable[[], nn.Module]
    shapes: tuple[tuple[int, ...], ...]
    tokens: int = 0

    def inputs(self, batch: int) -> tuple[Tensor, ...]:
        if self.tokens:
            return tuple(torch.randint(0, self.tokens, (batch, *shape)) for shape in self.shapes)
        return tuple(torch.randn(batch, *shape) for shape in self.shapes)


CASES = {
    "mlp": Case(mlp, ((3, 4),)),
    "cnn": Case(cnn, ((1, 16, 16),)),
    "residual": Case(Residual, ((3, 9, 9),)),
    "depthwise": Case(Depthwise, ((4, 11, 11),)),
    "transposed": Case(Upward, ((1, 8, 8),)),
    "layer_norm": Case(Normed, ((12,),)),
    "conv1d": Case(Wave, ((2, 20),)),
    "embedding": Case(Words, ((7,),), tokens=20),
    "two_by_two": Case(TwoByTwo, ((4,), (3,))),
    "volume": Case(Volume, ((1, 6, 6, 6),)),
}


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request) -> Case:
    torch.manual_seed(7)
    return request.param


def as_tuple(output: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return output if isinstance(output, tuple) else (output,)


def assert_same(found: Tensor | tuple[Tensor, ...], wanted: Tensor | tuple[Tensor, ...]) -> None:
    for one, other in zip(as_tuple(found), as_tuple(wanted), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def settle(model: nn.Module, case: Case) -> nn.Module:
    """Give running statistics other values than they begin with."""
    with torch.no_grad():
        for _ in range(3):
            model.train()(*case.inputs(8))
    return model


@pytest.mark.parametrize("training", [True, False], ids=["exported training", "exported evaluating"])
def test_it_computes_what_the_original_does(case, rebuild, training):
    model = settle(case.make(), case).train(training)
    rebuilt = rebuild(model, case.inputs(4)).eval()
    for batch in (1, 4, 9):  # 1 and 9 were never exported
        inputs = case.inputs(batch)
        assert_same(rebuilt(*inputs), model.eval()(*inputs))


def test_it_has_the_original_names(case, rebuild):
    model = case.make()
    rebuilt = rebuild(model, case.inputs(4))
    counters = {name for name in model.state_dict() if name.endswith("num_batches_tracked")}
    assert rebuilt.state_dict().keys() == model.state_dict().keys() - counters
    assert [name for name, _ in rebuilt.named_parameters()] == [name for name, _ in model.named_parameters()]
    model.load_state_dict(rebuilt.state_dict())  # torch fills in the counters


def without_dropout(model: nn.Module) -> nn.Module:
    for part in model.modules():
        if isinstance(part, nn.Dropout | nn.Dropout2d):
            part.p = 0.0
    return model


@pytest.mark.parametrize("training", [True, False], ids=["exported training", "exported evaluating"])
def test_it_trains_as_the_original_does(case, rebuild, training):
    model = without_dropout(case.make()).train(training)
    rebuilt = rebuild(model, case.inputs(4)).train()
    inputs = case.inputs(6)
    outputs = as_tuple(model.train()(*inputs)), as_tuple(rebuilt(*inputs))
    assert_same(outputs[1], outputs[0])
    for output in outputs:
        torch.stack([part.square().sum() for part in output]).sum().backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    for name, parameter in rebuilt.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-4, atol=1e-6)
    buffers = dict(model.named_buffers())
    for name, buffer in rebuilt.named_buffers():
        torch.testing.assert_close(buffer, buffers.get(name, buffer))


def test_running_statistics_move_in_training_and_rest_in_evaluation(rebuild):
    rebuilt = rebuild(cnn(), CASES["cnn"].inputs(4))
    before = rebuilt.state_dict()["1.running_mean"].clone()
    rebuilt.eval()(*CASES["cnn"].inputs(4))
    assert torch.equal(rebuilt.state_dict()["1.running_mean"], before)
    rebuilt.train()(*CASES["cnn"].inputs(4))
    assert not torch.equal(rebuilt.state_dict()["1.running_mean"], before)


@pytest.mark.parametrize("training", [True, False], ids=["exported training", "exported evaluating"])
def test_dropout_is_random_in_training_alone(rebuild, training):
    rebuilt = rebuild(mlp().train(training), CASES["mlp"].inputs(4))
    inputs = CASES["mlp"].inputs(50)
    assert not torch.equal(rebuilt.train()(*inputs), rebuilt(*inputs))
    assert torch.equal(rebuilt.eval()(*inputs), rebuilt(*inputs))


def test_batch_norm_without_statistics_uses_the_batch_in_both_modes(rebuild):
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3, track_running_stats=False))
    rebuilt = rebuild(model, (torch.randn(4, 4),)).eval()
    inputs = torch.randn(9, 4)
    assert_same(rebuilt(inputs), model.eval()(inputs))


def test_inputs_go_by_name_too_and_are_checked(rebuild):
    rebuilt = rebuild(TwoByTwo(), CASES["two_by_two"].inputs(4)).eval()
    a, b = CASES["two_by_two"].inputs(2)
    assert_same(rebuilt(b=b, a=a), rebuilt(a, b))
    for args, kwargs in (((a,), {}), ((a, b, b), {}), ((a, b), {"b": b}), ((a,), {"c": b})):
        with pytest.raises(TypeError, match="the network takes a, b"):
            rebuilt(*args, **kwargs)


def test_copies_are_independent(rebuild):
    rebuilt = rebuild(cnn(), CASES["cnn"].inputs(4)).eval()
    inputs = CASES["cnn"].inputs(2)
    wanted = rebuilt(*inputs)
    copied = copy.deepcopy(rebuilt)
    with torch.no_grad():
        for parameter in rebuilt.parameters():
            parameter.zero_()
    assert torch.equal(copied(*inputs), wanted)
    assert not torch.equal(rebuilt(*inputs), wanted)


def test_functional_call_swaps_weights(rebuild):
    rebuilt = rebuild(cnn(), CASES["cnn"].inputs(4)).eval()
    inputs = CASES["cnn"].inputs(2)
    bias = torch.arange(3.0, requires_grad=True)
    swapped = {"11.weight": torch.zeros(3, 32), "11.bias": bias}
    output = torch.func.functional_call(rebuilt, swapped, inputs)
    assert torch.equal(output, torch.arange(3.0).expand(2, 3))
    output.sum().backward()
    assert bias.grad is not None


def test_it_moves_between_types(rebuild):
    rebuilt = rebuild(mlp(), CASES["mlp"].inputs(4)).eval()
    assert rebuilt.to(torch.float64)(torch.randn(2, 3, 4, dtype=torch.float64)).dtype is torch.float64


def test_an_overwritten_input_of_the_caller_stays_as_it_was(rebuild):
    rebuilt = rebuild(nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 2)), (torch.randn(4, 4),))
    inputs = -torch.ones(3, 4)
    rebuilt(inputs)
    assert torch.equal(inputs, -torch.ones(3, 4))


def test_tied_weights_are_one_parameter(rebuild):
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    rebuilt = rebuild(model, (torch.randn(4, 4),))
    assert len(list(rebuilt.parameters())) == len(list(model.parameters())) == 3
    inputs = torch.randn(2, 4)
    assert_same(rebuilt(inputs), model(inputs))


def test_frozen_parameters_are_trained(rebuild):
    """A network that was exported with all of them frozen is fine-tuned all the same (docs/models.md)."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[0].requires_grad_(requires_grad=False)
    rebuilt = rebuild(model, (torch.randn(4, 4),))
    assert {name: one.requires_grad for name, one in rebuilt.named_parameters()} == dict.fromkeys(
        model.state_dict(), True
    )


def test_tensors_come_back_as_arrays(rebuild):
    model = cnn()
    rebuilt = rebuild(model, CASES["cnn"].inputs(4))
    graph = rebuilt._sterna_program.graph
    arrays = tensors_of(rebuilt, graph)
    assert list(arrays) == list(graph.tensors)
    for name, tensor in model.state_dict().items():
        if name in arrays:
            np.testing.assert_array_equal(arrays[name], tensor.numpy())


def test_half_types_survive(rebuild):
    model = nn.Linear(4, 2).to(torch.bfloat16)
    rebuilt = rebuild(model, (torch.randn(4, 4, dtype=torch.bfloat16),))
    assert torch.equal(rebuilt.state_dict()["weight"], model.weight)
    arrays = tensors_of(rebuilt, rebuilt._sterna_program.graph)
    assert arrays["weight"].dtype == np.uint16
    assert np.array_equal(arrays["weight"], model.weight.detach().view(torch.uint16).numpy())


@pytest.fixture
def network() -> Network:
    graph = Graph(
        inputs=(Input("x", "float32", (None, 2)),),
        tensors={"fc.weight": TensorInfo("parameter", "float32", (2, 2))},
        nodes=(Node("aten.linear.default", {"input": ValueRef("x"), "weight": TensorRef("fc.weight")}, ("y",)),),
        outputs=(ValueRef("y"),),
    )
    return Network(graph, {"fc.weight": np.eye(2, dtype=np.float32)})


@pytest.mark.parametrize(
    "name",
    ["forward", "training", "_parameters", "_modules.weight", "a.forward.weight", "a.eval", "state_dict",
     "_sterna_owners", "_sterna_program", "register_buffer", "T_destination", "_call_impl"],
)  # fmt: skip
def test_no_name_can_hide_a_part_of_a_module(network, name):
    info = TensorInfo("parameter", "float32", (1,))
    hostile = Network(
        replace(network.graph, tensors={**network.graph.tensors, name: info}),
        {**network.tensors, name: np.ones(1, np.float32)},
    )
    with pytest.raises(ModelUnsafe, match="would hide"):
        build_module(hostile)


def test_a_failing_node_is_named(network):
    with pytest.raises(RuntimeError) as caught:
        build_module(network)(torch.ones(1, 3))
    assert node_that_failed(caught.value) == "in the node aten.linear.default, which makes y"
    assert node_that_failed(RuntimeError("of something else")) == ""


def test_values_are_let_go_after_their_last_use(network, monkeypatch):
    chain = ["y", "a", "b", "c"]
    nodes = [Node("aten.neg.default", {"self": ValueRef(before)}, (after,)) for before, after in pairwise(chain)]
    graph = replace(network.graph, nodes=(*network.graph.nodes, *nodes), outputs=(ValueRef("c"),))
    seen: list[weakref.ref[Tensor]] = []
    alive: list[int] = []

    def negate(self: Tensor) -> Tensor:
        alive.append(sum(one() is not None for one in seen))
        seen.append(weakref.ref(self))
        return -self

    monkeypatch.setitem(FUNCTIONS, "aten.neg.default", negate)
    with torch.no_grad():
        build_module(Network(graph, network.tensors))(torch.ones(1, 2))
    assert alive == [0, 0, 0]
