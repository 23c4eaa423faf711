"""A bundle of Hugging Face transformers becomes a `.pt2`, in the runner: built, filled, exported by stock torch.

The class is what transformers' own auto classes give for the configuration, chosen from a table; nothing is looked up
elsewhere, and no code of a bundle is ever run. What comes out is read by the reader of any other `.pt2`.
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
    AutoModelForCausalLM,
    AutoModelForImageClassification,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)
from transformers.utils.logging import disable_progress_bar

from sterna.errors import ModelCorrupt, ModelDoesNotRun, UnsupportedFormat
from sterna.graph.check import quoted
from sterna.intake.bundle import Bundle
from sterna.module.arrays import to_tensor

_CLASSES: Final[Mapping[str, Any]] = {
    "ForSequenceClassification": AutoModelForSequenceClassification,
    "ForTokenClassification": AutoModelForTokenClassification,
    "ForMaskedLM": AutoModelForMaskedLM,
    "ForCausalLM": AutoModelForCausalLM,
    "LMHeadModel": AutoModelForCausalLM,
    "ForImageClassification": AutoModelForImageClassification,
    "Model": AutoModel,
}
_LONGEST: Final = 512
_IMAGE: Final = 224
"""Height and width that a network is exported with which takes any."""


def export_bundle(path: str | os.PathLike[str], out: Path) -> Path:
    """Write the network of a bundle as a `.pt2`, with dynamic batch and length.

    Raises:
        UnsupportedFormat: transformers knows no such model.
        ModelCorrupt: the weights are not those of the configuration.
        ModelDoesNotRun: torch.export does not take it.
    """
    bundle = Bundle(path)
    network = _build(bundle)
    names = tuple(item.name for item in bundle.network.graph.inputs)
    examples, axes = _text(network) if len(names) > 1 else _image(bundle)
    try:
        program = torch.export.export(
            _with_one_output(network.eval(), names), examples, dynamic_shapes=dict.fromkeys(names, axes), strict=False
        )
    except (RuntimeError, ValueError, TypeError) as error:
        raise ModelDoesNotRun(
            f"the bundle cannot be exported: {str(error).splitlines()[0][:200]}",
            hint="Export the model with torch.export yourself, and send the .pt2.",
        ) from error
    torch.export.save(program, out)
    return out


def _text(network: Any) -> tuple[tuple[Tensor, ...], dict[int, Any]]:  # noqa: ANN401  as _build
    """Two sequences of words, one of them shorter, and which axes are dynamic."""
    longest = getattr(network.config, "max_position_embeddings", None) or _LONGEST
    # Two tensors: of one tensor given twice, the export would make one input that serves for both.
    ids, mask = torch.zeros(2, 8, dtype=torch.int64), torch.ones(2, 8, dtype=torch.int64)
    mask[1, 5:] = 0
    length = torch.export.Dim("length", min=2, max=min(_LONGEST, int(longest)))
    return (ids, mask), {0: torch.export.Dim("batch"), 1: length}


def _image(bundle: Bundle) -> tuple[tuple[Tensor, ...], dict[int, Any]]:
    """Two images, and which axes are dynamic: height and width as far as torch can tell, where none are said."""
    (item,) = bundle.network.graph.inputs
    sizes = [_IMAGE if size is None else size for size in item.shape[1:]]
    free = {axis: torch.export.Dim.AUTO for axis in (2, 3) if item.shape[axis] is None}
    return (torch.zeros(2, *sizes),), {0: torch.export.Dim("batch"), **free}


def _with_one_output(network: nn.Module, names: tuple[str, ...]) -> nn.Module:
    """The network itself, whose parameters so keep their names, as a function of its inputs that gives one tensor."""
    original = network.forward

    def of_text(input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        output: Tensor = original(input_ids=input_ids, attention_mask=attention_mask, return_dict=False)[0]
        return output

    def of_images(pixel_values: Tensor) -> Tensor:
        output: Tensor = original(pixel_values=pixel_values, return_dict=False)[0]
        return output

    network.forward = of_text if len(names) > 1 else of_images
    return network


def _build(bundle: Bundle) -> Any:  # noqa: ANN401  transformers has no type for what its auto classes give
    """The network with its weights, float32; transformers renames and joins those of files that have old names."""
    kind, config = _class_and_config(bundle)
    disable_progress_bar()  # a job's log has other readers
    infos = bundle.network.graph.tensors
    state = {name: to_tensor(array, infos[name].dtype) for name, array in bundle.network.tensors.items()}
    try:
        network, report = kind.from_pretrained(
            None,
            config=config,
            state_dict=state,
            attn_implementation="eager",
            dtype=torch.float32,
            output_loading_info=True,
        )
    except RuntimeError as error:  # of another shape; which one is in transformers' report, in the log
        raise _misfit("a tensor is of another shape") from error
    if report["missing_keys"]:
        raise _misfit(f"{quoted(min(report['missing_keys']))} is missing")
    return network


def _class_and_config(bundle: Bundle) -> tuple[Any, Any]:
    """One of transformers' own classes, and what it is configured with."""
    try:
        config = AutoConfig.for_model(bundle.model_type, **bundle.config)
        config.architectures = [bundle.architecture]  # a choice where a family has several, from a table of its own
        config.use_cache = False  # what was computed before is for writing text word by word
        with torch.device("meta"):
            return type(_CLASSES[bundle.task].from_config(config, attn_implementation="eager")), config
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnsupportedFormat(
            f"transformers cannot build a {quoted(bundle.architecture)} from the configuration:"
            f" {str(error).splitlines()[0][:200]}",
            hint="Send the configuration that save_pretrained writes.",
        ) from error


def _misfit(how: str) -> ModelCorrupt:
    return ModelCorrupt(
        f"the weights of the bundle do not fit its configuration: {how}",
        hint="Send config.json and model.safetensors of one save_pretrained.",
    )
