"""Load an artifact as a stranger would, with no class of the network, and measure it on held-out data.

python examples/evaluate.py ARTIFACT DATA
"""

from __future__ import annotations

import sys

import numpy as np
import torch

import sterna


def main(artifact_path: str, data_path: str) -> None:
    """Print the accuracy."""
    network = sterna.load(artifact_path)
    with np.load(data_path) as data:
        target = data["eval_target"]
        name = next(name for name in data.files if name.startswith("eval_") and name != "eval_target")
        inputs = torch.from_numpy(data[name])
    with torch.no_grad():
        logits = network(inputs)
    print(float((logits.argmax(1).numpy() == target).mean()))


if __name__ == "__main__":
    main(*sys.argv[1:])
