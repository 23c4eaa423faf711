"""A bundle of Hugging Face transformers: a zip of `config.json` and `model.safetensors`, stored and not compressed.

The configuration names one of transformers' own classes and its sizes; which nodes that makes is only known once
transformers has built it, in the runner (`sterna.module.pretrained`). Here the headers give an outline: tensors, the
inputs, and which tensors are weights of layers, told by their names and axes. Nothing of the configuration is ever
code: what would make transformers look for any, or for anything elsewhere, is refused.

A class `…ForImageClassification`, and a `…Model` of what has channels and no vocabulary, is given `pixel_values`,
float32 (batch, channels, height, width); others `input_ids` and `attention_mask`, int64 (batch, length).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sterna.errors import ModelCorrupt, ModelTooLarge, ModelUnsafe, OperatorUnsupported
from sterna.graph import DTYPES, FLOATING, Graph, Input, Network, Node, TensorInfo, TensorRef, ValueRef, check_graph
from sterna.graph.check import MAX_TENSORS, check_shape, quoted
from sterna.intake.archive import Archive
from sterna.intake.json_text import Reader, parse_object
from sterna.intake.limits import DEFAULT_LIMITS, MODEL, Limits

CONFIG: Final = "config.json"
WEIGHTS: Final = "model.safetensors"
TASKS: Final = (
    "ForSequenceClassification", "ForTokenClassification", "ForMaskedLM", "ForCausalLM", "LMHeadModel",
    "ForImageClassification", "Model",
)  # fmt: skip
"""Ends of names of classes; the last is that of others, too."""
MAX_CONFIG_BYTES: Final = 2**20
MAX_NUMBER: Final = 2**24
MAX_LAYERS: Final = 512

_DTYPES: Final[Mapping[str, str]] = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
_TEXT: Final = tuple(Input(name, "int64", (None, None)) for name in ("input_ids", "attention_mask"))
_CLASSIFIERS: Final = ("ForSequenceClassification", "ForImageClassification")
_LEFT_OUT: Final = frozenset(
    {"_name_or_path", "transformers_version", "torch_dtype", "dtype", "architectures", "model_type"}
)
_REFUSED: Final = ("auto_map", "custom_pipelines", "quantization_config", "trust_remote_code", "adapter")
_HINT: Final = (
    "Send what save_pretrained writes for a model of transformers itself, as a zip without compression (zip -0)."
)
_NET = Reader("the configuration", MODEL)
_HEADER = Reader("the header of the weights", MODEL)


class Bundle:
    """One bundle.

    Args:
        path: the file.
        limits: what it may not exceed.

    Attributes:
        network: an outline: its tensors are those of the file, its nodes only say which of them are weights of layers.
        output_shape: of the logits of a classifier; empty where it is not known.
        config: the configuration without what only transformers' own files need.
        model_type: transformers' name of the family.
        architecture: name of the class that was saved.
        task: which of `TASKS` that is.

    Raises:
        ModelUnsafe: the configuration asks for code.
        ModelCorrupt, ModelTooLarge, OperatorUnsupported: as they say.
    """

    def __init__(self, path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> None:
        self._archive = Archive(path, limits=limits, refusals=MODEL)
        text = parse_object(self._archive.read(CONFIG, MAX_CONFIG_BYTES), "the configuration", MODEL)
        _check_config(text)
        self.model_type = _NET.get(text, "model_type", str)
        names = _NET.get(text, "architectures", list)
        self.architecture = _NET.typed(names[0], str, "architectures") if len(names) == 1 else ""
        self.task = next((task for task in TASKS if self.architecture.endswith(task)), "")
        if not self.task:
            raise OperatorUnsupported(
                f"the bundle is a {quoted(self.architecture)}; read are names that end in {', '.join(TASKS)}",
                hint="Export the model with torch.export instead, and send the .pt2.",
            )
        self.config = {key: value for key, value in text.items() if key not in _LEFT_OUT}
        labels = text.get("id2label")
        classes = len(labels) if isinstance(labels, dict) else None
        self.output_shape: tuple[int | None, ...] = (None, classes) if self.task in _CLASSIFIERS else ()
        weights = _read_weights(self._archive.stored(WEIGHTS) if self._has_weights() else None, limits)
        self.network = _outline(weights, self._inputs())

    def check_bytes(self) -> None:
        """Raise ModelCorrupt unless the weights are those that were written."""
        self._archive.check_crc(WEIGHTS)

    def _inputs(self) -> tuple[Input, ...]:
        sees = self.task == "ForImageClassification" or (
            self.task == "Model" and "num_channels" in self.config and "vocab_size" not in self.config
        )
        if not sees:
            return _TEXT
        channels = _NET.get(self.config, "num_channels", int) if "num_channels" in self.config else 3
        return (Input("pixel_values", "float32", (None, channels, *_image_size(self.config.get("image_size")))),)

    def _has_weights(self) -> bool:
        return WEIGHTS in self._archive.members


def _image_size(form: object) -> tuple[int | None, int | None]:
    """Height and width; None where the configuration does not say, since the network takes any."""
    if form is None:
        return None, None
    if isinstance(form, int):
        return form, form
    sizes = tuple(_NET.typed(item, int, "image_size") for item in _NET.typed(form, list, "image_size"))
    if len(sizes) != 2:
        raise ModelCorrupt(f"the configuration has {len(sizes)} numbers as image_size", hint=_HINT)
    return sizes[0], sizes[1]


def _check_config(form: object, depth: int = 0) -> None:
    """Raise unless the configuration is small plain numbers, texts and lists of them, and names no code."""
    if depth > 8:
        raise ModelTooLarge("the configuration is nested too deeply")
    if isinstance(form, dict):
        for key, value in form.items():
            if key in _REFUSED or "attn_implementation" in key or ("kernel" in key and isinstance(value, str | dict)):
                raise ModelUnsafe(f"the configuration has {quoted(key)}, which may ask for code or files", hint=_HINT)
            if key.endswith(("layers", "layer")) and isinstance(value, int) and value > MAX_LAYERS:
                raise ModelTooLarge(f"the configuration has {value} as {quoted(key)}; at most {MAX_LAYERS} are read")
            _check_config(value, depth + 1)
    elif isinstance(form, list):
        for item in form:
            _check_config(item, depth + 1)
    elif isinstance(form, int | float) and abs(form) > MAX_NUMBER:
        raise ModelTooLarge(f"the configuration has the number {form}; at most {MAX_NUMBER} are read")


def _read_weights(member: NDArray[np.uint8] | None, limits: Limits) -> dict[str, tuple[str, NDArray[Any]]]:
    """The tensors of a safetensors member by name: torch name of the type, and the mapped array."""
    if member is None or len(member) < 8:
        raise ModelCorrupt(f"the bundle has no {WEIGHTS}", hint=_HINT)
    header_bytes = int.from_bytes(member[:8].tobytes(), "little")
    if header_bytes > min(len(member) - 8, limits.max_json_bytes):
        raise ModelCorrupt(f"the header of the weights would have {header_bytes} bytes", hint=_HINT)
    header = parse_object(member[8 : 8 + header_bytes].tobytes(), "the header of the weights", MODEL)
    header.pop("__metadata__", None)
    if len(header) > MAX_TENSORS:
        raise ModelTooLarge(f"the bundle has {len(header)} tensors; at most {MAX_TENSORS} are read")
    body = member[8 + header_bytes :]
    return {name: _tensor(name, entry, body) for name, entry in header.items()}


def _tensor(name: str, entry: object, body: NDArray[np.uint8]) -> tuple[str, NDArray[Any]]:
    kind = _HEADER.get(entry, "dtype", str)
    if kind not in _DTYPES:
        raise OperatorUnsupported(f"{quoted(name)} is {quoted(kind)}; read are {', '.join(_DTYPES)}", hint=_HINT)
    shape = tuple(_HEADER.typed(item, int, "shape") for item in _HEADER.get(entry, "shape", list))
    check_shape(name, shape, ModelCorrupt, hint=_HINT)
    offsets = [_HEADER.typed(item, int, "data_offsets") for item in _HEADER.get(entry, "data_offsets", list)]
    dtype = DTYPES[_DTYPES[kind]]
    fits = len(offsets) == 2 and 0 <= offsets[0] <= offsets[1] <= len(body)
    if not fits or prod(shape) * dtype.itemsize != offsets[1] - offsets[0]:
        raise ModelCorrupt(f"{quoted(name)} of shape {shape} does not fit its bytes", hint=_HINT)
    return _DTYPES[kind], np.frombuffer(body.data, dtype, prod(shape), offsets[0]).reshape(shape)


def _outline(weights: Mapping[str, tuple[str, NDArray[Any]]], inputs: tuple[Input, ...]) -> Network:
    tensors: dict[str, TensorInfo] = {}
    nodes: list[Node] = []
    given = ValueRef(inputs[0].name)
    for name, (dtype, array) in weights.items():
        tensors[name] = TensorInfo("parameter" if dtype in FLOATING else "constant", dtype, array.shape)
        if array.ndim in _USES and dtype in FLOATING and name.endswith(".weight"):
            nodes.append(_use(name, array.ndim, given, f"layer_{len(nodes)}"))
    graph = Graph(inputs, tensors, tuple(nodes), (given,))
    check_graph(graph)
    return Network(graph, {name: array for name, (_, array) in weights.items()})


_USES: Final = {
    2: "aten.linear.default",
    3: "aten.conv1d.default",
    4: "aten.conv2d.default",
    5: "aten.conv3d.default",
}
"""What a weight of so many axes is of."""
_TABLE: Final = re.compile("embed|wte|wpe")
_POSITIONS: Final = re.compile("position|wpe")


def _use(name: str, axes: int, given: ValueRef, output: str) -> Node:
    """A node that looks rows up where the name says so, by a constant where it speaks of positions; else a layer."""
    if axes != 2 or not _TABLE.search(name):
        return Node(_USES[axes], {"input": given, "weight": TensorRef(name)}, (output,))
    looked_up = 0 if _POSITIONS.search(name) else given
    return Node("aten.embedding.default", {"weight": TensorRef(name), "indices": looked_up}, (output,))
