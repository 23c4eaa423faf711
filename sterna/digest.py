"""The name of content: what uploads, blobs, manifests and results call a file by."""

from __future__ import annotations

import hashlib
from pathlib import Path


def file_digest(path: Path) -> str:
    """sha-256 of a file, in lower-case hexadecimal; it is read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def text_digest(text: str) -> str:
    """sha-256 of a text in UTF-8, in lower-case hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
