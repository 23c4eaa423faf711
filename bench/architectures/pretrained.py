"""The networks of Hugging Face transformers, made small, with random weights: nothing is downloaded.

A type of model gives one network, of the first of `_AUTO_CLASSES` that has it. A type whose small configuration does
not hold together, or that needs an input which is not given here, is left out with the reason that transformers gives.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final

import torch
import transformers
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from bench.architectures.networks import Draw, Network, NotBuilt
from bench.architectures.small import IMAGE, VOCABULARY, small

LENGTH: Final = 12
MOST_PARAMETERS: Final = 70_000_000

_AUTO_CLASSES: Final = tuple(
    getattr(transformers, f"AutoModel{task}")
    for task in (
        "ForSeq2SeqLM",  # of those with encoder and decoder, whose classifiers look for the end of the text in the data
        "ForSequenceClassification", "ForImageClassification", "ForAudioClassification", "ForVideoClassification",
        "ForCausalLM", "ForMaskedLM", "ForSemanticSegmentation", "ForDepthEstimation",
        "ForObjectDetection", "ForCTC", "ForTimeSeriesPrediction",
    )
)  # fmt: skip


def types() -> tuple[str, ...]:
    """The types of model that some auto class knows, in order."""
    known = (kind.model_type for auto in _AUTO_CLASSES for kind in auto._model_mapping)
    return tuple(dict.fromkeys(known))


def build(name: str) -> Network:
    """A small network of a type, in evaluation mode; seeded.

    Raises:
        NotBuilt: transformers does not build it, it stays large, or does not run.
    """
    torch.manual_seed(0)
    try:
        config = small(CONFIG_MAPPING[name]())
        config.architectures = []  # the first class of the mapping, where there are several
        auto = next(auto for auto in _AUTO_CLASSES if type(config) in auto._model_mapping)
        model = auto.from_config(config).eval()
        _drop_nothing(model)
        drawn = _drawn(model, config)
        flat, draw = _Flat(model, tuple(drawn)), _draw(drawn)
        with torch.no_grad():
            flat(*draw(2))
    except Exception as error:
        raise NotBuilt(f"{type(error).__name__}: {error}") from error
    if sum(parameter.numel() for parameter in model.parameters()) > MOST_PARAMETERS:
        raise NotBuilt(f"more than {MOST_PARAMETERS:,} parameters")
    return Network(type(model).__name__, flat, draw)


def _drop_nothing(model: nn.Module) -> None:
    """Take out the dropout that no configuration names: no two runs have it in common."""
    for part in model.modules():
        for name in ("p", "dropout"):
            if isinstance(getattr(part, name, None), float):
                setattr(part, name, 0.0)


class _Flat(nn.Module):
    """A model that takes its inputs by position, and gives a tuple of the tensors that it computes."""

    def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        leaves = pytree.tree_leaves(self.model(**dict(zip(self.names, inputs, strict=True))))
        return tuple(leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.is_floating_point())


def _drawn(model: Any, config: Any) -> dict[str, Callable[[int], Tensor]]:  # noqa: ANN401
    """What a model is given, by name: its main input, and what belongs to that where it takes it."""
    taken = inspect.signature(model.forward).parameters
    main = model.main_input_name
    vision = getattr(config, "vision_config", config)
    image = (getattr(vision, "num_channels", 3), IMAGE, IMAGE)
    bands = getattr(config, "num_mel_bins", None) or getattr(config, "feature_size", None) or 16
    frames = 2 * getattr(config, "max_source_positions", LENGTH)
    shapes: dict[str, tuple[int, ...]] = {
        "pixel_values": (getattr(config, "num_frames", 4), *image) if "Video" in type(model).__name__ else image,
        "input_values": (getattr(config, "max_length", 64), bands) if hasattr(config, "frequency_stride") else (1600,),
        "input_features": (bands, frames) if "hisper" in type(model).__name__ else (frames, bands),
        "past_values": (getattr(config, "context_length", 32), getattr(config, "num_input_channels", 1)),
    }
    drawn: dict[str, Callable[[int], Tensor]] = {}
    if main in shapes:
        drawn[main] = lambda size: torch.randn(size, *shapes[main])
    if main == "input_ids":
        drawn["input_ids"] = _tokens
        drawn |= {"attention_mask": _mask} if "attention_mask" in taken else {}
        drawn |= {"bbox": _boxes} if "bbox" in taken else {}
    if "decoder_input_ids" in taken and getattr(config, "is_encoder_decoder", False):
        drawn["decoder_input_ids"] = _tokens
    return drawn


def _draw(drawn: dict[str, Callable[[int], Tensor]]) -> Draw:
    def draw(size: int) -> tuple[Tensor, ...]:
        torch.manual_seed(size)
        return tuple(one(size) for one in drawn.values())

    return draw


def _tokens(size: int) -> Tensor:
    """Words, and at the end the token 2, which ends a text."""
    words = torch.randint(3, VOCABULARY * 4 // 5, (size, LENGTH))
    words[:, -1] = 2
    return words


def _mask(size: int) -> Tensor:
    """Every second sequence is shorter."""
    mask = torch.ones(size, LENGTH, dtype=torch.int64)
    mask[1::2, LENGTH * 3 // 4 :] = 0
    return mask


def _boxes(size: int) -> Tensor:
    """Left, top, right, bottom."""
    corners = torch.randint(0, 30, (size, LENGTH, 2))
    return torch.cat((corners, corners + 10), dim=-1)
