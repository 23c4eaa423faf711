"""Which weights of a torch module are made ternary.

| module | tensors | output-channel axis |
|---|---|---|
| Linear, Bilinear | weight | 0 |
| Conv1d, Conv2d, Conv3d, grouped or not | weight | 0 |
| ConvTranspose1d, 2d, 3d | weight; with groups, channels of the same number share a scale | 1 |
| Embedding, EmbeddingBag | weight; a scale for each feature, since one for each row would outweigh the codes | 1 |
| LSTM, GRU, RNN and their cells | weight_ih…, weight_hh…, weight_hr… | 0 |
| MultiheadAttention | in_proj_weight, or q_, k_ and v_proj_weight; out_proj is a Linear | 0 |

Biases, normalisation and embeddings of position are left alone. A position is recognised by its name, since a module
does not say what its indices mean; `exclude` takes out what a name does not tell. A tensor that two modules share is
listed once and stays shared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from torch import nn

from sterna.graph import is_excluded
from sterna.method.config import TernaryLayer

_POSITION = re.compile(r"(^|[._])(wpe|pos|positions?|positional|pos(ition)?_?emb\w*)([._]|$)", re.IGNORECASE)


def find_ternary_layers(network: nn.Module, exclude: Sequence[str] = ()) -> list[TernaryLayer]:
    """List what can be made ternary, in the order of the modules.

    Args:
        network: any module. A weight that is used by hand, as `self.w @ x`, is not found: add a `TernaryLayer` for it.
        exclude: globs on the name of the tensor or of its module, such as `features.0` or `head.*`; of a shared
            tensor, on any of its names.
    """
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    layers: dict[str, TernaryLayer] = {}
    excluded = set()
    for module_name, module in network.named_modules():
        for tensor_name, channel_axis in _weights(module, module_name):
            name = names.get(id(getattr(module, tensor_name)))  # the first of its names where it is shared
            path = f"{module_name}.{tensor_name}" if module_name else tensor_name
            if name is None:
                continue
            layers.setdefault(name, TernaryLayer(name, channel_axis))
            if is_excluded(name, exclude) or is_excluded(path, exclude):
                excluded.add(name)
    return [layer for name, layer in layers.items() if name not in excluded]


def _weights(module: nn.Module, name: str) -> Iterator[tuple[str, int]]:
    match module:
        case nn.Linear() | nn.Bilinear() | nn.Conv1d() | nn.Conv2d() | nn.Conv3d():
            yield "weight", 0
        case nn.ConvTranspose1d() | nn.ConvTranspose2d() | nn.ConvTranspose3d():
            yield "weight", 1
        case nn.Embedding() | nn.EmbeddingBag():
            # max_norm rewrites rows while the network runs; sparse gradients cannot pass through a scale.
            if module.max_norm is None and not module.sparse and not _POSITION.search(name):
                yield "weight", 1
        case nn.RNNBase() | nn.RNNCellBase():
            yield from ((tensor, 0) for tensor, _ in module.named_parameters() if tensor.startswith("weight"))
        case nn.MultiheadAttention():
            tensors = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
            yield from ((tensor, 0) for tensor in tensors if getattr(module, tensor) is not None)
        case _:
            return
