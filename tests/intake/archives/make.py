"""Networks as the torch at hand exports them, with their outputs: `python make.py FOLDER`; needs torch and numpy.

The folders beside this file were written so, by the torch that each is named after; weights are random.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(functional.max_pool2d(torch.relu(self.norm(self.conv(x))), 2).flatten(1))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.layer(self.embed(tokens)).mean(1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 6, batch_first=True)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    cases = {
        "mlp": (Mlp(), torch.randn(5, 6)),
        "cnn": (Cnn(), torch.randn(5, 1, 4, 4)),
        "encoder": (Encoder(), torch.randint(0, 11, (5, 7))),
        "lstm": (Recurrent(), torch.randn(5, 7, 4)),
    }
    for name, (network, example) in cases.items():
        for _ in range(3):
            network(example)  # batch normalisation remembers something
        batch = {0: torch.export.Dim("batch", min=2, max=1024)}
        torch.export.save(torch.export.export(network, (example,), dynamic_shapes=(batch,)), folder / f"{name}.pt2")
        with torch.no_grad():
            np.savez(folder / f"{name}.npz", input=example.numpy(), output=network.eval()(example).numpy())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
