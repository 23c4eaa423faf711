"""One published network through the whole way, and what was seen."""

from __future__ import annotations

import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

import sterna
from api_schemas import CompressSpec
from bench.intake.networks import Published, fetch
from sterna.artifact import Artifact
from sterna.compress import ARTIFACT_NAME, compress
from sterna.compress.bundle import runnable
from sterna.errors import SternaError
from sterna.intake import ModelInspection, inspect_model, read_model
from sterna.module import build_module

SPARSITY = 0.7
HELD_OUT = 128
BUDGET_S = 150

Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Compressed:
    """What came out of a compression.

    Attributes:
        steps, seconds: of the job.
        weights, zeros: counted in the packed file.
        ratio: bytes of the model to bytes of the artifact.
        metric: name, of the original, of the packed network, as the job tells them.
        agreement: with the original on held-out samples, through `sterna.load`: 1 − Σ(y − ŷ)² / Σ(y − ȳ)² over the
            first output.
        same_class: share of samples with the same greatest output; None where outputs are no classes.
    """

    steps: int
    seconds: float
    weights: int
    zeros: int
    ratio: float
    metric: tuple[str, float, float]
    agreement: float
    same_class: float | None


@dataclass(frozen=True, slots=True)
class Row:
    """One network.

    Attributes:
        network: which.
        inspect_ms: time of the inspection.
        inspection: None where it was refused.
        refusal: code and sentence, where it was.
        difference: greatest difference from the oracle relative to its greatest output, for each size.
        compressed: None where it was not.
    """

    network: Published
    inspect_ms: float
    inspection: ModelInspection | None = None
    refusal: tuple[str, str] | None = None
    difference: tuple[float, ...] = ()
    compressed: Compressed | None = None


def measure(network: Published) -> Row:
    """Read, rebuild, compare, compress and load one network; a refusal is a result."""
    path = fetch(network)
    started = time.perf_counter()
    try:
        inspection = inspect_model(path)
    except SternaError as error:
        return Row(network, _ms_since(started), refusal=(error.code, error.detail))
    inspect_ms = _ms_since(started)
    if network.draw is None:
        return Row(network, inspect_ms, inspection)
    try:
        with runnable(path) as readable:
            module = build_module(read_model(readable)).eval()
        difference = tuple(_difference(network, path, module, size) for size in network.sizes)
        compressed = None if network.why_not else _compressed(network, path, module)
    except SternaError as error:
        return Row(network, inspect_ms, inspection, (error.code, error.detail))
    return Row(network, inspect_ms, inspection, difference=difference, compressed=compressed)


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def _difference(network: Published, path: Path, module: nn.Module, size: int) -> float:
    assert network.draw is not None
    inputs = network.draw(size, np.random.default_rng(size))
    wanted = _transformers(path, inputs) if path.suffix == ".zip" else _onnxruntime(path, inputs)
    found = _outputs(module, inputs)
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(found, wanted, strict=True))


def _outputs(module: nn.Module, inputs: Arrays) -> list[NDArray[np.float32]]:
    with torch.no_grad():
        result = module(**{name: torch.from_numpy(array) for name, array in inputs.items()})
    return [one.numpy() for one in (result if isinstance(result, tuple) else (result,))]


def _onnxruntime(path: Path, inputs: Arrays) -> list[NDArray[np.float32]]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_inputs()]
    results: list[NDArray[np.float32]] = session.run(None, dict(zip(names, inputs.values(), strict=True)))
    return results


def _transformers(path: Path, inputs: Arrays) -> list[NDArray[np.float32]]:
    """The oracle of a bundle: what transformers itself makes of the two files."""
    import transformers  # noqa: PLC0415  an extra, and slow to import

    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(path) as bundle:
            for name in ("config.json", "model.safetensors"):
                (Path(folder) / name).write_bytes(bundle.read(name))
        model = transformers.AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
    with torch.no_grad():
        result = model(**{name: torch.from_numpy(array) for name, array in inputs.items()})
    return [result.last_hidden_state.numpy()]


def _compressed(network: Published, path: Path, module: nn.Module) -> Compressed:
    assert network.draw is not None
    budget = {"epochs": network.epochs, "seconds": BUDGET_S}
    spec = CompressSpec.model_validate({"target_sparsity": SPARSITY, "budget": budget})
    drawn = network.draw(network.samples + HELD_OUT, np.random.default_rng(0))
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        train = {name: array[: network.samples] for name, array in drawn.items()}
        held_out = {name: array[network.samples :] for name, array in drawn.items()}
        np.savez(data, **train, **{f"eval_{name}": array for name, array in held_out.items()})  # type: ignore[arg-type]
        result = compress(path, data if network.data else None, spec, Path(folder))
        artifact = Path(folder) / ARTIFACT_NAME
        weights, zeros = counted(artifact)
        [found, *_], [wanted, *_] = _outputs(sterna.load(artifact), held_out), _outputs(module, held_out)
        assert result.metric is not None
        return Compressed(
            steps=result.steps,
            seconds=result.seconds,
            weights=weights,
            zeros=zeros,
            ratio=path.stat().st_size / artifact.stat().st_size,
            metric=(result.metric.name, result.metric.baseline, result.metric.ternary),
            agreement=float(1 - np.square(wanted - found).sum() / np.square(wanted - wanted.mean()).sum()),
            same_class=float((found.argmax(1) == wanted.argmax(1)).mean()) if wanted.ndim == 2 else None,
        )


def counted(path: Path) -> tuple[int, int]:
    """Ternary weights and zeros among them, by unpacking every code of the file."""
    with Artifact.open(path) as artifact:
        codes = [artifact.codes(layer.name) for layer in artifact.layers]
    return sum(array.size for array in codes), sum(int((array == 0).sum()) for array in codes)
