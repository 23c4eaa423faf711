"""One network in one way: written, read, rebuilt, compared with the original, and what came of it."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import onnxruntime
import torch
from torch import Tensor, nn

from bench.architectures.networks import Network
from bench.architectures.ways import EXPORTED_SIZE, OTHER_SIZES, WAYS, input_names
from sterna.errors import SternaError
from sterna.graph import find_layers
from sterna.intake import read_model
from sterna.module import build_module

RTOL: Final = 1e-4
ATOL: Final = 1e-5
"""Of the greatest value of a tensor, where that is above 1."""
_MASKED: Final = 1e30

Verdict = Literal["fine", "refused", "differs", "does not run", "not exported", "stopped", "not built"]


@dataclass(frozen=True, slots=True)
class Row:
    """One network in one way.

    Attributes:
        network: the type of model.
        kind: its class; empty where it was not built.
        way: of the file.
        verdict: what came of it.
        detail: code and sentence of a refusal, or what differs and by whose doing, or the exporter's reason.
        layers: how many of its layers can be ternary; None where it was not read.
    """

    network: str
    kind: str
    way: str
    verdict: Verdict
    detail: str = ""
    layers: int | None = None


def examine(name: str, network: Network, way: str) -> Row:
    """Write a file, read it and compare; whatever happens is a result."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model.{'onnx' if way.startswith('onnx') else 'pt2'}"
        try:
            WAYS[way](network, path)
        except Exception as error:  # noqa: BLE001  exporters raise what they like
            return Row(name, network.kind, way, "not exported", _short(error))
        try:
            read = read_model(path)
            rebuilt = build_module(read)
        except SternaError as error:
            return Row(name, network.kind, way, "refused", f"{error.code}: {error.detail}{_nor_elsewhere(path)}")
        layers = sum(layer.ternarisable for layer in find_layers(read.graph))
        verdict, detail = _Comparison(network, way, path, rebuilt, [item.name for item in read.graph.inputs]).verdict()
        return Row(name, network.kind, way, verdict, detail, layers)


def _nor_elsewhere(path: Path) -> str:
    """What is added to a refusal of an ONNX file that its own runtime does not load."""
    if path.suffix == ".onnx":
        try:
            _session(path)
        except Exception:  # noqa: BLE001  ONNX Runtime has a class for each of its errors and no common one
            return "; ONNX Runtime does not load the file either"
    return ""


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@dataclass(frozen=True, slots=True)
class _Comparison:
    """The rebuilt network beside the original, and beside the file's own runtime where they are not the same."""

    network: Network
    way: str
    path: Path
    rebuilt: nn.Module
    taken: Sequence[str]

    def verdict(self) -> tuple[Verdict, str]:
        for size in (EXPORTED_SIZE,) if self.way == "pt2" else OTHER_SIZES:
            inputs = self.network.draw(size)
            with torch.no_grad():
                wanted = self.network.module.eval()(*inputs)
            try:
                found = self._found(inputs)
            except Exception as error:  # noqa: BLE001  what the operators of torch raise
                return "does not run", f"{self._whose(inputs, None)} at {size}: {_short(error)}"
            if not same(found, wanted):
                return "differs", f"{self._whose(inputs, found)} at {size}: {_difference(found, wanted)}"
        return ("fine", "") if self.way.startswith("onnx") else self._trains()

    def _found(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        with torch.no_grad():
            result = self.rebuilt.eval()(**self._named(inputs))
        return result if isinstance(result, tuple) else (result,)

    def _named(self, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
        named = dict(zip(input_names(self.way, len(inputs)), inputs, strict=True))
        return {name: named[name] for name in self.taken}

    def _whose(self, inputs: tuple[Tensor, ...], found: tuple[Tensor, ...] | None) -> str:
        """`ours`, unless what made the file does not run it at that size either, or gets what we get."""
        try:
            wanted = self._by_its_own_runtime(inputs)
        except Exception:  # noqa: BLE001  a runtime may raise anything of a stranger's network
            return "the export's"
        return "the export's" if found is not None and same(found, wanted) else "ours"

    def _by_its_own_runtime(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if self.way.startswith("onnx"):
            results = _session(self.path).run(
                None, {name: value.numpy() for name, value in self._named(inputs).items()}
            )
            return tuple(map(torch.from_numpy, results))
        with torch.no_grad():
            return tuple(self._program()(*inputs))

    def _trains(self) -> tuple[Verdict, str]:
        """Gradients of every parameter, training; where those differ, in float64, and evaluating, as was exported."""
        inputs, original = self.network.draw(EXPORTED_SIZE), self.network.module
        note = _frozen_alike(self.rebuilt, original)
        try:
            _gradients(original.train(), inputs)
        except Exception as error:  # noqa: BLE001  transformers' own
            return "fine", f"the original does not train so: {_short(error)}"
        try:
            if not (odd := odd_gradient(self.rebuilt.train(), original.train(), inputs)):
                return "fine", note
            if not _odd_in_float64(self.rebuilt, original, inputs):
                return "fine", "gradients are the same in float64 alone"
            if not odd_gradient(self.rebuilt.eval(), original.eval(), inputs):
                return "fine", f"trains by other rules than it was exported with: gradient of {odd}"
            whose = "ours" if odd_gradient(self.rebuilt, self._program(), inputs) else "the export's"
        except Exception as error:  # noqa: BLE001  and so may a backward pass
            return "does not run", f"{self._whose_training(inputs)}, training: {_short(error)}"
        return "differs", f"{whose}: gradient of {odd}"

    def _whose_training(self, inputs: tuple[Tensor, ...]) -> str:
        try:
            _gradients(self._program(), inputs)
        except Exception:  # noqa: BLE001  a runtime may raise anything of a stranger's network
            return "the export's"
        return "ours"

    def _program(self) -> nn.Module:
        return torch.export.load(self.path).module()  # a file of our own making


def _frozen_alike(rebuilt: nn.Module, original: nn.Module) -> str:
    """Freeze what the original has frozen, so that all else is compared, and say so: the reader makes it trainable."""
    frozen = {name for name, one in original.named_parameters() if not one.requires_grad}
    for name, parameter in rebuilt.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)
    return f"frozen in the original and trained here: {', '.join(sorted(frozen)[:3])}" if frozen else ""


def same(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> bool:
    """Whether two lists of tensors are of the same shapes and close; NaN equals NaN."""
    return len(found) == len(wanted) and all(
        one.shape == other.shape and torch.allclose(one, other, RTOL, ATOL * max(1.0, _greatest(other)), equal_nan=True)
        for one, other in zip(found, wanted, strict=True)
    )


def odd_gradient(found: nn.Module, wanted: nn.Module, inputs: tuple[Tensor, ...]) -> str:
    """The first parameter whose gradients differ; empty where none does. No gradient and zeros are the same."""
    one, other = _gradients(found, inputs), _gradients(wanted, inputs)
    for name, value in (one | other).items():
        zeros = torch.zeros_like(value)
        if not same((one.get(name, zeros),), (other.get(name, zeros),)):
            return name
    return ""


def _gradients(module: nn.Module, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Of the sum of squares of all outputs, by the name of the parameter; running statistics are left as they were."""
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    torch.manual_seed(0)
    result = module(*inputs)
    outputs = result if isinstance(result, tuple | list) else (result,)
    parameters = {name: one for name, one in module.named_parameters() if one.requires_grad}
    loss = torch.stack([output.square().sum() for output in outputs]).sum()
    gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    with torch.no_grad():
        for name, buffer in module.named_buffers():
            buffer.copy_(buffers[name])
    return {name: one for name, one in zip(parameters, gradients, strict=True) if one is not None}


def _odd_in_float64(found: nn.Module, wanted: nn.Module, inputs: tuple[Tensor, ...]) -> str:
    """The same where nothing is lost by rounding; a network that names float32 itself cannot tell."""
    doubled = tuple(one.double() if one.is_floating_point() else one for one in inputs)
    try:
        return odd_gradient(copy.deepcopy(found).double(), copy.deepcopy(wanted).double(), doubled)
    except RuntimeError as error:
        return _short(error)


def _difference(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> str:
    shapes = [[tuple(one.shape) for one in tensors] for tensors in (found, wanted)]
    if shapes[0] != shapes[1]:
        return f"shapes {shapes[0]}, not {shapes[1]}"
    worst = max(_greatest(one - other) / max(1.0, _greatest(other)) for one, other in zip(found, wanted, strict=True))
    return f"{worst:.1e} of the greatest value"


def _greatest(tensor: Tensor) -> float:
    """In magnitude, of the values that are no masks: those are infinite or next to it."""
    sizes = tensor.abs()
    return float(sizes[sizes < _MASKED].max()) if (sizes < _MASKED).any() else 0.0


def _short(error: BaseException) -> str:
    """The first line that says something, of what is at the bottom of it."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {(lines or ['no reason given'])[0][:160]}"
