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

MAX_MADE_ELEMENTS: Final = 2**30


def check_growth(name: str, function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Raise ModelTooLarge where a call would make more elements than `MAX_MADE_ELEMENTS`.

    Args:
        name: of the operator, for the message.
        function: what is going to be called.
        arguments: by name; tensors among them are only asked for their shapes and types.
    """
    made = _count(function(**{key: _without_memory(key, value) for key, value in arguments.items()}))
    if made > MAX_MADE_ELEMENTS:
        raise ModelTooLarge(
            f"{name} would make {made} elements at once; at most {MAX_MADE_ELEMENTS} are made",
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
