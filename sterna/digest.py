"""The name of a file's content: what uploads, blobs, manifests and results call it by."""

from __future__ import annotations

import hashlib
from pathlib import Path


def file_digest(path: Path) -> str:
    """sha-256 of a file, in lower-case hexadecimal; it is read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
