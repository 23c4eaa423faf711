"""Synthesised inputs against statistics that were recorded on real ones, and the networks that tell nothing."""

import copy

import pytest
import torch
from torch import nn

from sterna.method import classification, distillation, evaluate, match_statistics, ternarise
from sterna.method.batches import Samples
from sterna.method.config import TernariseConfig
from sterna.method.ternarise import Task


@pytest.fixture
def noise():
    return torch.randn(64, 64, generator=torch.Generator().manual_seed(0))


def test_hidden_statistics_come_near_those_of_real_digits(problem, noise):
    first, norm = problem.network[0], problem.network[1]

    def distance(inputs):
        hidden = first(inputs).detach()  # the oracle: what the normalisation is given, without any mode or hook
        return float(((hidden.mean(0) - norm.running_mean) ** 2 / norm.running_var).mean())

    before = {name: tensor.clone() for name, tensor in problem.network.state_dict().items()}
    [matched] = match_statistics(problem.network, [noise])
    assert distance(matched) < 0.05 * distance(noise)
    assert all(torch.equal(tensor, before[name]) for name, tensor in problem.network.state_dict().items())


def test_the_network_learns_more_from_matched_inputs_than_from_noise(problem):
    noise = torch.randn(1024, 64, generator=torch.Generator().manual_seed(1))
    matched = torch.cat([match_statistics(problem.network, [part])[0] for part in noise.split(64)])
    accuracy = {}
    for name, inputs in {"noise": noise, "matched": matched}.items():
        network = copy.deepcopy(problem.network)
        teacher = copy.deepcopy(problem.network).eval()
        task = Task(Samples([inputs], None, batch_size=64), distillation(logits=True), teacher)
        ternarise(network, problem.layers, task, TernariseConfig(target_sparsity=0.7, steps=300))
        accuracy[name] = evaluate(network, problem.held_out, classification())
    assert accuracy["matched"] > accuracy["noise"]


def test_a_network_without_statistics_leaves_the_noise_alone(noise):
    network = nn.Sequential(nn.Linear(64, 8), nn.LayerNorm(8), nn.Linear(8, 2))
    [same] = match_statistics(network, [noise])
    assert torch.equal(same, noise)


def test_indices_stay_as_they_are():
    network = nn.Sequential(nn.Embedding(5, 4), nn.Flatten(), nn.BatchNorm1d(12))
    indices = torch.randint(0, 5, (7, 3))
    [same] = match_statistics(network, [indices])
    assert torch.equal(same, indices)


def test_it_ends_when_it_is_told_to(problem, noise):
    [same] = match_statistics(problem.network, [noise], go_on=lambda: False)
    assert torch.equal(same, noise)
