"""A bundle of Hugging Face transformers becomes a `.pt2`, in the runner: built, filled, exported by stock torch.

transformers is needed and nothing else of the sender: the class is one of transformers' own auto classes, chosen from a
table; nothing is looked up elsewhere, and no code of a bundle is ever run. What comes out is read by the reader of any
other `.pt2`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from sterna.errors import ModelCorrupt, ModelDoesNotRun, UnsupportedFormat
from sterna.graph.check import quoted
from sterna.intake.bundle import INPUTS, Bundle
from sterna.module.arrays import to_tensor

_CLASSES: Final[Mapping[str, Any]] = {
    "ForSequenceClassification": AutoModelForSequenceClassification,
    "ForTokenClassification": AutoModelForTokenClassification,
    "ForMaskedLM": AutoModelForMaskedLM,
    "Model": AutoModel,
}
_LONGEST: Final = 512


def export_bundle(path: str | os.PathLike[str], out: Path) -> Path:
    """Write the network of a bundle as a `.pt2`, with dynamic batch and length.

    Raises:
        UnsupportedFormat: transformers knows no such model.
        ModelCorrupt: the weights are not those of the configuration.
        ModelDoesNotRun: torch.export does not take it.
    """
    bundle = Bundle(path)
    network = _build(bundle)
    _fill(network, bundle)
    longest = getattr(network.config, "max_position_embeddings", _LONGEST)
    # Two tensors: of one tensor given twice, the export would make one input that serves for both.
    ids, mask = torch.zeros(2, 8, dtype=torch.int64), torch.ones(2, 8, dtype=torch.int64)
    mask[1, 5:] = 0
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", min=2, max=min(_LONGEST, int(longest)))}
    try:
        program = torch.export.export(
            _with_one_output(network.eval()), (ids, mask), dynamic_shapes=dict.fromkeys(INPUTS, axes), strict=False
        )
    except (RuntimeError, ValueError, TypeError) as error:
        raise ModelDoesNotRun(
            f"the bundle cannot be exported: {str(error).splitlines()[0][:200]}",
            hint="Export the model with torch.export yourself, and send the .pt2.",
        ) from error
    torch.export.save(program, out)
    return out


def _with_one_output(network: nn.Module) -> nn.Module:
    """The network itself, whose parameters so keep their names, as a function of two inputs that gives one tensor."""
    original = network.forward

    def forward(input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        output: Tensor = original(input_ids=input_ids, attention_mask=attention_mask, return_dict=False)[0]
        return output

    network.forward = forward
    return network


def _build(bundle: Bundle) -> Any:  # noqa: ANN401  transformers has no type for what its auto classes give
    task = next(task for task in _CLASSES if bundle.architecture.endswith(task))
    try:
        config = AutoConfig.for_model(bundle.model_type, **bundle.config)
        return _CLASSES[task].from_config(config, attn_implementation="eager")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnsupportedFormat(
            f"transformers cannot build a {quoted(bundle.architecture)} from the configuration:"
            f" {str(error).splitlines()[0][:200]}",
            hint="Send the configuration that save_pretrained writes.",
        ) from error


def _fill(network: nn.Module, bundle: Bundle) -> None:
    infos = bundle.network.graph.tensors
    state = {name: to_tensor(array, infos[name].dtype) for name, array in bundle.network.tensors.items()}
    wanted = network.state_dict()
    filled = {wanted[name].data_ptr() for name in state if name in wanted}
    missing = [name for name, tensor in wanted.items() if name not in state and tensor.data_ptr() not in filled]
    odd = [name for name in state if name in wanted and wanted[name].shape != state[name].shape]
    if missing or odd:
        raise ModelCorrupt(
            "the weights of the bundle do not fit its configuration:"
            f" {quoted((missing + odd)[0])} is missing or of another shape",
            hint="Send config.json and model.safetensors of one save_pretrained.",
        )
    network.load_state_dict(state, strict=False)
