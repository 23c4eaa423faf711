"""Every kind of layer that torch has and that can be made ternary: found, trained, installed, still shared."""

import copy

import pytest
import torch
from torch import nn

from sterna.method import (
    Samples,
    Task,
    TernariseConfig,
    TernaryLayer,
    distillation,
    find_ternary_layers,
    regression,
    ternarise,
)
from sterna.method.evaluation import output_of
from sterna.method.latent import LatentWeights


class Recurrent(nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.recur = kind(6, 8, batch_first=True, **options)
        self.head = nn.LazyLinear(3)

    def forward(self, tokens):
        return self.head(self.recur(self.embed(tokens))[0].mean(1))


class Attention(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.embed, self.position_embedding = nn.Embedding(11, 8), nn.Embedding(5, 8)
        self.attend = nn.MultiheadAttention(8, 2, batch_first=True, **options)
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(self, tokens):
        x = self.embed(tokens) + self.position_embedding(torch.arange(5))
        return self.head(self.norm(x + self.attend(x, x, x, need_weights=False)[0])[:, 0])


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.body, self.head = nn.Embedding(11, 8), nn.Linear(8, 8), nn.Linear(8, 11, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        return self.head(torch.relu(self.body(self.embed(tokens[:, 0]))))


def tokens():
    return torch.randint(0, 11, (96, 5), generator=torch.Generator().manual_seed(0))


def values(*shape):
    return torch.randn(96, *shape, generator=torch.Generator().manual_seed(0))


NETWORKS = {
    "conv1d": (lambda: nn.Sequential(nn.Conv1d(4, 6, 3), nn.BatchNorm1d(6), nn.Flatten(), nn.Linear(24, 3)), (4, 6)),
    "conv2d grouped": (lambda: nn.Sequential(nn.Conv2d(4, 8, 3, groups=4), nn.Flatten(), nn.Linear(32, 3)), (4, 4, 4)),
    "conv3d": (lambda: nn.Sequential(nn.Conv3d(2, 4, 2), nn.Flatten(), nn.Linear(32, 3)), (2, 3, 3, 3)),
    "transposed": (lambda: nn.Sequential(nn.ConvTranspose2d(2, 4, 2), nn.Flatten(), nn.Linear(64, 3)), (2, 3, 3)),
    "transposed grouped": (
        lambda: nn.Sequential(nn.ConvTranspose1d(4, 6, 2, groups=2), nn.Flatten(), nn.Linear(24, 3)),
        (4, 3),
    ),
    "lstm": (lambda: Recurrent(nn.LSTM, num_layers=2, bidirectional=True), None),
    "lstm projected": (lambda: Recurrent(nn.LSTM, proj_size=4), None),
    "gru": (lambda: Recurrent(nn.GRU), None),
    "attention": (Attention, None),
    "attention of other sizes": (lambda: Attention(kdim=8, vdim=8, bias=False), None),
    "tied": (Tied, None),
}


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("granularity", ["global", "layer"])
def test_it_is_made_ternary_exactly(name, granularity):
    make, shape = NETWORKS[name]
    torch.manual_seed(0)
    network = make()
    samples = Samples([tokens() if shape is None else values(*shape)], None, batch_size=32)
    teacher = copy.deepcopy(network).eval()
    batch = next(samples.in_order())
    output_of(teacher, batch)  # builds what is lazy
    network = copy.deepcopy(teacher)
    layers = find_ternary_layers(network)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    config = TernariseConfig(target_sparsity=0.6, steps=40, granularity=granularity)
    result = ternarise(network, layers, Task(samples, distillation(logits=True), teacher), config)

    state = network.state_dict()
    sizes = {layer.name: before[layer.name].numel() for layer in layers}
    zeros = {key: int((codes == 0).sum()) for key, (codes, _) in result.layers.items()}
    if granularity == "global":
        assert sum(zeros.values()) == round(0.6 * sum(sizes.values()))
    else:
        assert zeros == {key: round(0.6 * size) for key, size in sizes.items()}
    for key, (codes, scale) in result.layers.items():
        assert torch.equal(state[key], codes * scale)
        assert not torch.equal(state[key], before[key])
    # What the network computes is what its tensors say: a fresh copy with the same state agrees.
    fresh = copy.deepcopy(teacher)
    fresh.load_state_dict(state)
    assert torch.equal(output_of(fresh, batch), output_of(network, batch))
    if name == "tied":
        assert network.head.weight is network.embed.weight


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_gets_a_gradient(name):
    make, shape = NETWORKS[name]
    torch.manual_seed(0)
    network = make().train()
    inputs = tokens() if shape is None else values(*shape)
    network(inputs)  # builds what is lazy
    latent = LatentWeights(dict(network.named_parameters()), find_ternary_layers(network), 0.3)
    latent.harden(torch.tensor(0.3), 1.0)
    with torch.no_grad():
        latent.install()
    network(inputs).square().sum().backward()
    with torch.no_grad():
        latent.carry_gradient()
    assert all(bool(part.any()) for part in latent.v.grad.split(latent.sizes))
    assert bool(latent.log_scale.grad.any())


def test_channels_can_be_joined_again():
    weights = {"a": torch.randn(3, 4, 2), "b": torch.randn(5, 2)}
    latent = LatentWeights(weights, [TernaryLayer("a", 1), TernaryLayer("b", 0)], 0.5)
    rows = latent.channels(latent.v)
    assert [tuple(part.shape) for part in rows] == [(4, 6), (5, 2)]
    assert torch.equal(latent.join(rows), latent.v)


def test_what_is_found():
    assert [(layer.name, layer.channel_axis) for layer in find_ternary_layers(Attention())] == [
        ("embed.weight", 1),
        ("attend.in_proj_weight", 0),
        ("attend.out_proj.weight", 0),
        ("head.weight", 0),
    ]
    lstm = nn.LSTM(3, 4, proj_size=2, bidirectional=True)
    assert [layer.name for layer in find_ternary_layers(lstm)] == [
        name for name, _ in lstm.named_parameters() if name.startswith("weight")
    ]
    assert [layer.name for layer in find_ternary_layers(Tied())] == ["embed.weight", "body.weight"]
    assert find_ternary_layers(nn.Linear(3, 4))[0].name == "weight"


def test_what_is_left_alone():
    assert find_ternary_layers(nn.Sequential(nn.BatchNorm2d(4), nn.LayerNorm(4), nn.PReLU(4))) == []
    assert find_ternary_layers(nn.Sequential(nn.Embedding(9, 4, max_norm=1.0), nn.Embedding(9, 4, sparse=True))) == []
    for name in ("position", "pos_embedding", "wpe", "position_embeddings", "positional"):
        assert find_ternary_layers(nn.ModuleDict({name: nn.Embedding(9, 4)})) == []
    for name in ("composer", "posterior", "tokens"):
        assert len(find_ternary_layers(nn.ModuleDict({name: nn.Embedding(9, 4)}))) == 1


@pytest.mark.parametrize("glob", ["head", "head.*", "head.weight", "h*"])
def test_globs_take_out_tensors_and_modules(glob):
    assert [layer.name for layer in find_ternary_layers(Tied(), exclude=[glob])] == ["body.weight"]
    names = [layer.name for layer in find_ternary_layers(Attention(), exclude=[glob])]
    assert "head.weight" not in names
    assert "attend.in_proj_weight" in names


def test_a_recurrent_network_learns_a_real_regression():
    """Half of the weights zero, and still most of the variance explained: recurrent weights do train through s·T(v)."""
    torch.manual_seed(0)
    inputs = torch.randn(2000, 12, 1)
    target = inputs[:, -3:].sum(1)  # the sum of the last three

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.recur, self.head = nn.GRU(1, 24, batch_first=True), nn.Linear(24, 1)

        def forward(self, x):
            return self.head(self.recur(x)[0][:, -1])

    net = Net()
    samples = Samples([inputs], target, batch_size=64)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    batches = samples.shuffled(torch.Generator().manual_seed(0))
    for _ in range(300):
        batch = next(batches)
        optimiser.zero_grad()
        nn.functional.mse_loss(net(*batch.inputs), batch.target).backward()
        optimiser.step()
    config = TernariseConfig(target_sparsity=0.5, steps=400)
    ternarise(net, find_ternary_layers(net), Task(samples, regression()), config)
    with torch.no_grad():
        assert float(nn.functional.mse_loss(net(inputs), target)) < 0.1 * float(target.var())
