"""A file that appears whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sterna.errors import InvalidSpec


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give the name to write to; it becomes `path` when the block ends, and is removed when it fails.

    Raises:
        InvalidSpec: at `path` there is something that is no regular file.
    """
    if path.exists() and not path.is_file():
        raise InvalidSpec(f"{path} is no regular file", hint="Give the name of a new file, or of one to replace.")
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
