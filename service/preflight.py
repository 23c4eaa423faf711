"""What is known of a model and its data before training; what cannot work is refused before a row is made."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from anyio import to_thread

from api_schemas import CompressSpec
from api_schemas.uploads import Inspection
from service.backends import Backends
from sterna.intake import ModelInspection, inspect_model, preflight
from sterna.target import wanted_zeros


async def check_files(backends: Backends, model: Path, data: Path | None, spec: CompressSpec) -> ModelInspection:
    """Reads a model and its data as far as that goes without torch, in little memory.

    Returns:
        What is known of the model.

    Raises:
        InputError: they cannot be used; each class says why and what to do.
        TargetUnreachable: so few weights cannot have the sparsity asked for.
    """
    return await to_thread.run_sync(_check, model, data, spec, limiter=backends.readers)


async def check_blobs(backends: Backends, model: str, data: str | None, spec: CompressSpec) -> ModelInspection:
    """The same for content of the blob store, by sha-256."""

    def check() -> ModelInspection:
        scratch = backends.settings.scratch_folder
        with ExitStack() as files:
            model_path = files.enter_context(backends.blobs.as_file(model, scratch))
            data_path = None if data is None else files.enter_context(backends.blobs.as_file(data, scratch))
            return _check(model_path, data_path, spec)

    return await to_thread.run_sync(check, limiter=backends.readers)


async def inspect_blob(backends: Backends, model: str) -> Inspection:
    """The per-layer table of a model of the blob store.

    Raises:
        InputError: it is no model that can be read.
    """

    def inspect() -> Inspection:
        with backends.blobs.as_file(model, backends.settings.scratch_folder) as path:
            return Inspection.model_validate(inspect_model(path))

    return await to_thread.run_sync(inspect, limiter=backends.readers)


def check_target(spec: CompressSpec, found: ModelInspection) -> None:
    """Whether the model's weights can have the sparsity asked for.

    Raises:
        TargetUnreachable: they are too few.
    """
    if spec.search.strategy != "fixed":
        wanted_zeros(found.ternarisable_weights, spec.target_sparsity, spec.tolerance)


def _check(model: Path, data: Path | None, spec: CompressSpec) -> ModelInspection:
    found = preflight(model, data, spec.exclude, objective=spec.objective)
    check_target(spec, found)
    return found
