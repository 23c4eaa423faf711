"""JSON from strangers: asked for by name and type, so that a wrong file is refused and never guessed at."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from sterna.intake.limits import Refusals

_T = TypeVar("_T")


def parse_object(text: bytes, what: str, refusals: Refusals) -> dict[str, Any]:
    """Parse one JSON object; the caller has bounded the length of the text.

    Args:
        text: UTF-8.
        what: the thing in words, for the message.
        refusals: which errors to raise.
    """
    try:
        value = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError):  # not UTF-8, not JSON, an endless number, too deep
        raise refusals.corrupt(f"{what} is not JSON", hint="Make the file again and send it whole.") from None
    if not isinstance(value, dict):
        raise refusals.corrupt(f"{what} is a JSON {type(value).__name__}, not an object")
    return value


class Reader:
    """Takes values out of parsed JSON by name and type.

    Args:
        what: the thing in words, for messages.
        refusals: which errors to raise.
    """

    def __init__(self, what: str, refusals: Refusals) -> None:
        self._what = what
        self._refusals = refusals

    def get(self, record: object, name: str, kind: type[_T]) -> _T:
        """The member `name` of an object, which must be there and of that type."""
        if not isinstance(record, dict) or name not in record:
            raise self._refusals.corrupt(f"{self._what} has no {name!r} where it belongs")
        return self.typed(record[name], kind, name)

    def typed(self, value: object, kind: type[_T], name: str) -> _T:
        """The value itself, which must be of that type; true and false are no integers."""
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            found, wanted = type(value).__name__, kind.__name__
            raise self._refusals.corrupt(f"{self._what} has a {found} as {name!r} where a {wanted} belongs")
        return value

    def union(self, record: object, name: str) -> tuple[str, Any]:
        """The only member of an object that stands for one of several things: its name and value."""
        if not isinstance(record, dict) or len(record) != 1:
            raise self._refusals.corrupt(f"{self._what} has something other than one choice as {name!r}")
        [(choice, value)] = record.items()
        return str(choice), value
