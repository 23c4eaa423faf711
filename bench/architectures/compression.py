"""Twelve of the networks through the whole of `sterna compress`, on random inputs: to its end, and exactly?"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from api_schemas import CompressSpec
from bench.architectures import pretrained
from bench.architectures.children import Stopped, told
from bench.architectures.networks import Network
from bench.architectures.ways import WAYS, input_names
from bench.intake.measure import counted
from sterna.compress import ARTIFACT_NAME, compress

SPARSITY: Final = 0.7
SAMPLES: Final = 48
BUDGET: Final = {"epochs": 2, "seconds": 20}
MOST_SECONDS: Final = 300
_WAY: Final = "pt2-dynamic"
CHOSEN: Final = (
    "bert", "gpt2", "llama", "mixtral", "t5", "mamba", "vit", "swin", "resnet", "convnext", "wav2vec2", "segformer",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Compressed:
    """What came of a compression.

    Attributes:
        network: type of model.
        weights, zeros: counted in the packed file.
        seconds: of the job.
        ratio: bytes of the `.pt2` to bytes of the artifact.
        failure: why there is nothing of this.
    """

    network: str
    weights: int = 0
    zeros: int = 0
    seconds: float = 0.0
    ratio: float = 0.0
    failure: str = ""

    def cells(self) -> tuple[str, ...]:
        """For the table."""
        if self.failure:
            return (self.network, "", "", "", "", "", self.failure)
        missed = self.zeros - round(SPARSITY * self.weights)
        share = f"{self.zeros:,} ({self.zeros / self.weights:.4%})"
        return (
            self.network,
            f"{self.weights:,}",
            share,
            f"{missed:+d}",
            f"{self.seconds:.1f}",
            f"{self.ratio:.1f}",
            "",
        )


def compressed(name: str) -> Compressed:
    """Compress one of them, in a process of its own."""

    def work(tell: Callable[[Compressed], None]) -> None:
        try:
            tell(_compressed(name, pretrained.build(name)))
        except Exception as error:  # noqa: BLE001  whatever happens is a result
            tell(Compressed(name, failure=f"{type(error).__name__}: {error}"))

    try:
        [result] = told(work, MOST_SECONDS)
    except Stopped as reason:
        return Compressed(name, failure=f"stopped {reason}")
    return result


def _compressed(name: str, network: Network) -> Compressed:
    with tempfile.TemporaryDirectory() as folder:
        model, data = Path(folder) / "model.pt2", Path(folder) / "data.npz"
        WAYS[_WAY](network, model)
        inputs = network.draw(SAMPLES)
        names = input_names(_WAY, len(inputs))
        np.savez(data, **{key: value.numpy() for key, value in zip(names, inputs, strict=True)})
        spec = CompressSpec.model_validate({"target_sparsity": SPARSITY, "budget": BUDGET})
        result = compress(model, data, spec, Path(folder))
        artifact = Path(folder) / ARTIFACT_NAME
        weights, zeros = counted(artifact)
        return Compressed(name, weights, zeros, result.seconds, model.stat().st_size / artifact.stat().st_size)
