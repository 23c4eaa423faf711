"""JSON as the format allows it: one way to write it, and a reader that trusts neither its text nor its types.

The `expect_…` functions turn an `object` that came out of a file into the type that the format asks for. `what` is how
the place is called in the message.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import NoReturn

from sterna.errors import ArtifactCorrupt


def to_text(value: object) -> str:
    """Write JSON with sorted names, no spaces and ASCII alone, so that the same value gives the same text.

    Raises:
        TypeError, ValueError: `value` is not JSON, or holds NaN or infinity.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def from_text(text: bytes | str, what: str) -> object:
    """Read JSON; refuse bytes that are not UTF-8, names that occur twice, NaN, and nesting without end.

    Raises:
        ArtifactCorrupt: the text is not such JSON.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        return json.loads(text, object_pairs_hook=_unique_names, parse_constant=_refuse_constant)
    except RecursionError:
        raise ArtifactCorrupt(f"{what} is nested too deeply") from None
    except ValueError as error:
        raise ArtifactCorrupt(f"{what} is not valid JSON: {error}") from None


def expect_object(value: object, what: str, members: Collection[str] | None = None) -> dict[str, object]:
    """Take a JSON object; with `members`, exactly these names.

    Raises:
        ArtifactCorrupt: it is something else, or has other members.
    """
    if not isinstance(value, dict):
        raise ArtifactCorrupt(f"{what} is {_kind(value)}, an object is allowed")
    if members is not None and value.keys() != set(members):
        odd = sorted(value.keys() ^ set(members))
        raise ArtifactCorrupt(f"{what} lacks or has beyond its members: {', '.join(map(short, odd[:5]))}")
    return value


def expect_list(value: object, what: str, *, most: int) -> list[object]:
    """Take a JSON list of at most `most` elements.

    Raises:
        ArtifactCorrupt: it is something else or longer.
    """
    if not isinstance(value, list):
        raise ArtifactCorrupt(f"{what} is {_kind(value)}, a list is allowed")
    if len(value) > most:
        raise ArtifactCorrupt(f"{what} has {len(value)} elements, at most {most} are allowed")
    return value


def expect_integer(value: object, what: str, *, least: int, most: int) -> int:
    """Take an integer from `least` to `most`; true, false and 1.0 are not integers.

    Raises:
        ArtifactCorrupt: it is something else or outside.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise ArtifactCorrupt(f"{what} is {_kind(value)}, an integer is allowed")
    if not least <= value <= most:
        raise ArtifactCorrupt(f"{what} is outside of {least} … {most}")
    return value


def expect_string(value: object, what: str) -> str:
    """Take a string.

    Raises:
        ArtifactCorrupt: it is something else.
    """
    if not isinstance(value, str):
        raise ArtifactCorrupt(f"{what} is {_kind(value)}, a string is allowed")
    return value


def short(name: str) -> str:
    """Quote a stranger's name for a message: printable, and not longer than a line."""
    return repr(name if len(name) <= 80 else name[:77] + "...")


def _unique_names(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name occurs twice in one object")
    return members


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")
