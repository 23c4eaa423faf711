"""The one verb: a model, data and a spec in, a packed ternary artifact and its report out."""

from sterna.compress.compress import ARTIFACT_NAME, compress

__all__ = ["ARTIFACT_NAME", "compress"]
