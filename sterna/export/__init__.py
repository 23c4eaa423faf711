"""A packed artifact in the formats that other programs read, in one table.

| name | what | needs |
|---|---|---|
| `onnx` | the whole network, weights of linear layers in two bits | the extra `export` |
| `gguf` | its tensors, ternary ones in two bits where their rows allow it | the extra `export` |
| `safetensors` | its tensors, dense, under their original names | numpy |
| `pt2` | the whole network by stock `torch.export`, dense | torch |

Importing this package imports neither torch nor onnx; each format loads what it needs when it is written.
"""

from sterna.export.formats import EXPORTS, Export, check_exports

__all__ = ["EXPORTS", "Export", "check_exports"]
