"""How much memory an operator is going to need, before it takes it.

A network from a stranger can say `zeros(2**40)` or `x.repeat(10**6)` in a few bytes. The operators that make memory out
of numbers, or far more of it than they are given, are marked in the allow-list; each of their calls is first run on
meta tensors, which have shapes and no memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from torch import Tensor

from sterna.errors import ModelTooLarge
from sterna.graph.entries import USUAL_NUMBER, Operator

MAX_MADE_ELEMENTS: Final = 2**30


def check_growth(name: str, function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Raise ModelTooLarge where a call would make more elements than `MAX_MADE_ELEMENTS`.

    Args:
        name: of the operator, for the message.
        function: what is going to be called.
        arguments: by name; tensors among them are only asked for their shapes and types.
    """
    try:
        made = _count(function(**{key: _without_memory(key, value) for key, value in arguments.items()}))
    except (RuntimeError, TypeError) as error:  # the latter where a size does not fit 64 bits
        if "overflow" not in str(error).lower():
            raise
        raise _too_large(f"{name} would make more elements than can be counted") from None
    if made > MAX_MADE_ELEMENTS:
        raise _too_large(f"{name} would make {made} elements at once")


def has_unusual_number(operator: Operator, arguments: Mapping[str, Any]) -> bool:
    """Whether a layer pads, strides or dilates so far that its result may be out of proportion to what it is given."""
    return any(_largest(arguments.get(name)) > USUAL_NUMBER for name in operator.grows_by)


def _largest(value: Any) -> int:  # noqa: ANN401  a number, a list of them, or how to pad in words
    if isinstance(value, list | tuple):
        return max(map(_largest, value), default=0)
    return value if isinstance(value, int) else 0


def _too_large(what: str) -> ModelTooLarge:
    return ModelTooLarge(
        f"{what}; at most {MAX_MADE_ELEMENTS} are made",
        hint="Look for a size or a number of repetitions that is far too large, and export again.",
    )


def _without_memory(key: str, value: Any) -> Any:  # noqa: ANN401  whatever an operator takes
    if isinstance(value, Tensor):
        return value.detach().to("meta")
    if isinstance(value, list):
        return [_without_memory("", item) for item in value]
    return "meta" if key == "device" else value


def _count(made: Any) -> int:  # noqa: ANN401  whatever an operator gives
    if isinstance(made, Tensor):
        return made.numel()
    return sum(map(_count, made)) if isinstance(made, tuple | list) else 0
