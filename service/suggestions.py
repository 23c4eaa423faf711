"""Did you mean …? For a field that a request has and the wire contract has not."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

from pydantic import BaseModel

_LONGEST_NAME: Final = 80


def nearest_field(model: type[BaseModel], location: Sequence[int | str]) -> str | None:
    """The field that an unknown one may have been meant for.

    Args:
        model: what the whole body is read as.
        location: pydantic's, of the unknown field, such as `("budget", "epoch")`.

    Returns:
        `target_sparsity` for `sparsity`; None where nothing is near.
    """
    *parents, last = location
    owner = _model_at(model, parents)
    if owner is None:
        return None
    names = [field.alias or name for name, field in owner.model_fields.items()]
    return next(iter(get_close_matches(str(last)[:_LONGEST_NAME], names, n=1)), None)


def _model_at(model: type[BaseModel], location: Sequence[int | str]) -> type[BaseModel] | None:
    for step in location:
        field = model.model_fields.get(str(step))
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return None
        model = field.annotation
    return model
