"""How much of a stranger's file is read, at most."""

from __future__ import annotations

from dataclasses import dataclass

from sterna.errors import (
    DataCorrupt,
    DataTooLarge,
    DataUnsafe,
    InputError,
    ModelCorrupt,
    ModelTooLarge,
    ModelUnsafe,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may not exceed. A service may set smaller ones.

    Attributes:
        max_members: members of a zip archive.
        max_directory_bytes: length of a zip archive's directory.
        max_json_bytes: one JSON text: the graph, an index of weights, the header of a safetensors file.
        max_model_bytes: all tensors of a model together, as they are in memory.
        max_data_bytes: all arrays of a data file together, as they are in memory.
        max_arrays: arrays in a data file.
        max_inflation: how many times larger than in the file a compressed array of more than 1 MiB may be.
    """

    max_members: int = 50_000
    max_directory_bytes: int = 16 * 2**20
    max_json_bytes: int = 32 * 2**20
    max_model_bytes: int = 16 * 2**30
    max_data_bytes: int = 4 * 2**30
    max_arrays: int = 1024
    max_inflation: int = 200


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Refusals:
    """Which error stands for what, so that one reader of archives serves models and data."""

    corrupt: type[InputError]
    unsafe: type[InputError]
    too_large: type[InputError]


MODEL = Refusals(ModelCorrupt, ModelUnsafe, ModelTooLarge)
DATA = Refusals(DataCorrupt, DataUnsafe, DataTooLarge)
