"""Full-precision training of the bench networks: where every comparison starts.

python -m bench.method.train [fashion] [crop]
"""

from __future__ import annotations

import sys

import torch

from bench.method.datasets import LOADERS
from bench.method.networks import ResidualNetwork, SeriesTransformer
from examples.digits import train

NETWORKS = {"fashion": (ResidualNetwork, 8), "crop": (SeriesTransformer, 40)}
"""Network and epochs, by the name of the data."""


def main(names: list[str]) -> None:
    """Train the named networks, all when none is named, and print their accuracy on the held-out part."""
    for name in names or NETWORKS:
        torch.manual_seed(0)
        make, epochs = NETWORKS[name]
        network = make()
        weights = sum(p.numel() for p in network.parameters() if p.ndim > 1)
        print(f"{name}: {weights} weights, held-out accuracy {train(network, LOADERS[name](), epochs=epochs):.4f}")


if __name__ == "__main__":
    main(sys.argv[1:])
