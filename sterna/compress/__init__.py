"""The one verb: a model, data and a spec in, a packed ternary artifact and its report out."""

from sterna.compress.checkpoints import Checkpointing, Written
from sterna.compress.compress import ARTIFACT_NAME, compress
from sterna.compress.warm_up import warm_up

__all__ = ["ARTIFACT_NAME", "Checkpointing", "Written", "compress", "warm_up"]
