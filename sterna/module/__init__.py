"""Graph and weights become a torch module that trains and evaluates. Here torch begins."""

from sterna.module.arrays import tensors_of
from sterna.module.load import load_module
from sterna.module.rebuilt import RebuiltNetwork, build_module, node_that_failed

__all__ = ["RebuiltNetwork", "build_module", "load_module", "node_that_failed", "tensors_of"]
