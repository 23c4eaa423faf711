"""Recurrent and attention networks as stock torch exports them, in ONNX Runtime and in torch."""

import numpy as np
import pytest
import torch
from torch import nn

from bench.method.networks import SeriesTransformer
from sterna import load
from sterna.export import EXPORTS


class Recurrent(nn.Module):
    def __init__(self, make, **options):
        super().__init__()
        self.layer = make(5, 6, batch_first=True, **options)
        self.head = nn.Linear(6 * (2 if options.get("bidirectional") else 1), 4)

    def forward(self, x):
        y, last = self.layer(x)
        hidden = last[0] if isinstance(last, tuple) else last
        return self.head(y), hidden


# torch.export itself warns of its own recurrent layers.
@pytest.mark.filterwarnings("ignore:The tensor attributes .*_flat_weights:UserWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda: Recurrent(nn.LSTM, num_layers=2),
        lambda: Recurrent(nn.LSTM, bidirectional=True, bias=False),
        lambda: Recurrent(nn.GRU, num_layers=2, bidirectional=True),
        lambda: Recurrent(nn.RNN),
        lambda: Recurrent(nn.RNN, nonlinearity="relu"),
        lambda: SeriesTransformer(width=16, heads=2),
    ],
    ids=["lstm", "lstm both ways", "gru both ways", "rnn", "rnn relu", "transformer"],
)
def test_it_says_what_torch_says(make, pack, run_onnx, tmp_path):
    torch.manual_seed(0)
    model = make()
    shape = (46, 1) if isinstance(model, SeriesTransformer) else (7, 5)
    path = pack(model, torch.randn(3, *shape))
    EXPORTS["onnx"].write(path, tmp_path / "m.onnx")
    for batch in (2, 4):
        inputs = torch.randn(batch, *shape)
        name = "series" if isinstance(model, SeriesTransformer) else "x"
        wanted = load(path)(inputs)
        found = run_onnx(tmp_path / "m.onnx", {name: inputs.numpy()})
        for one, other in zip(found, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
            expected = other.detach().numpy()
            assert one.shape == expected.shape
            # Two-bit products round activations to int8.
            assert np.linalg.norm(one - expected) < 0.03 * np.linalg.norm(expected)
