"""Renewed statistics against those of the data itself."""

import torch
from torch import nn

from sterna.method import Samples
from sterna.method.recovery import renew_statistics


def test_statistics_become_those_of_the_data():
    torch.manual_seed(0)
    inputs = torch.randn(4096, 3) * torch.tensor([1.0, 2.0, 0.5]) + torch.tensor([0.0, 5.0, -1.0])
    network = nn.Sequential(nn.BatchNorm1d(3))
    network[0].running_mean.fill_(100.0)
    renew_statistics(network, Samples([inputs], None, batch_size=256), torch.Generator().manual_seed(0), batches=150)
    torch.testing.assert_close(network[0].running_mean, inputs.mean(0), atol=0.05, rtol=0.05)
    torch.testing.assert_close(network[0].running_var, inputs.var(0), atol=0.05, rtol=0.05)
    assert not network.training


def test_buffers_that_training_does_not_touch_stay():
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    network.register_buffer("table", torch.tensor([1.5, 2.5]))
    renew_statistics(network, Samples([torch.randn(64, 2)], None, batch_size=32), torch.Generator(), batches=9)
    assert network.table.tolist() == [1.5, 2.5]


def test_a_network_without_buffers_is_left_alone():
    network = nn.Linear(2, 2)
    renew_statistics(network, Samples([torch.randn(4, 2)], None, batch_size=2), torch.Generator())
    assert isinstance(network, nn.Linear)
